import type {
  FetchFunction,
  Message,
  PermissionRequest,
  QuestionRequest,
  SessionInfo,
} from 'jarvis-opencode';

/** A request that arrived. */
export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly directory: string;
}

/** Answers a request instead of the fake; a rejection is a lost connection. */
export type FakeAnswer = (request: FakeRequest) => Response | Promise<Response>;

/**
 * The far side of a client's `fetch`, without a model: a test says what the server stores and which events it sends. For
 * what the real server cannot be brought to do at a given moment.
 */
export class FakeOpenCode {
  readonly requests: FakeRequest[] = [];
  readonly permissions: PermissionRequest[] = [];
  readonly questions: QuestionRequest[] = [];
  readonly messages: Message[] = [];
  /** Sessions at work. */
  readonly busy = new Set<string>();
  /** Sessions that are known, by id. */
  readonly sessions = new Map<string, Partial<SessionInfo>>();
  readonly #directory: string;
  readonly #answers = new Map<string, FakeAnswer>();
  readonly #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #events = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  readonly fetch: FetchFunction = async (input, init) => {
    const request = new Request(input, init);
    const pathname = decodeURIComponent(new URL(request.url).pathname);
    request.signal.throwIfAborted();
    if (pathname === '/global/event' && !this.#answers.has('GET /global/event'))
      return this.#open(request.signal);
    const text = await request.text();
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const directory = decodeURIComponent(request.headers.get('x-opencode-directory') ?? '');
    const arrived = { method: request.method, path: pathname, body, directory };
    this.requests.push(arrived);
    const answer = this.#answers.get(`${request.method} ${pathname}`) ?? ((it) => this.usual(it));
    return answer(arrived);
  };

  /** Answers one operation otherwise from now on, or as usual again. */
  answer(operation: string, answer?: FakeAnswer): void {
    if (answer === undefined) this.#answers.delete(operation);
    else this.#answers.set(operation, answer);
  }

  /** How often an operation was asked for. */
  count(operation: string): number {
    return this.requests.filter(({ method, path }) => `${method} ${path}` === operation).length;
  }

  /** Sends an event of the directory, or of another one. */
  event(type: string, properties: object, directory = this.#directory): void {
    this.#write({ directory, payload: { id: this.#nextID(), type, properties } });
  }

  /** Lets a session ask, as the server does: it is listed, and told. */
  ask(request: PermissionRequest): void {
    this.permissions.push(request);
    this.busy.add(request.sessionID);
    this.event('permission.asked', request);
  }

  /** The same for a question. */
  askQuestion(request: QuestionRequest): void {
    this.questions.push(request);
    this.busy.add(request.sessionID);
    this.event('question.asked', request);
  }

  /** Cuts the event stream. */
  cut(): void {
    for (const stream of this.#streams) stream.close();
    this.#streams.clear();
  }

  #nextID(): string {
    return `evt_${String(++this.#events).padStart(10, '0')}`;
  }

  #write(frame: object): void {
    for (const stream of this.#streams) stream.enqueue(encodeFrame(frame));
  }

  #open(signal: AbortSignal): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#streams.add(controller);
        const payload = { id: this.#nextID(), type: 'server.connected', properties: {} };
        controller.enqueue(encodeFrame({ payload }));
        signal.addEventListener('abort', () => {
          if (this.#streams.delete(controller)) controller.error(signal.reason);
        });
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  }

  /** What it answers by itself. */
  usual({ method, path }: FakeRequest): Response {
    const [noun, id] = path.split('/').slice(1);
    if (method === 'GET' && path === '/permission') return Response.json(this.permissions);
    if (method === 'GET' && path === '/question') return Response.json(this.questions);
    if (method === 'GET' && path === '/pty') return Response.json([]);
    if (path === '/session/status') {
      return Response.json(Object.fromEntries([...this.busy].map((busy) => [busy, { type: 'busy' }])));
    }
    if (/\/(prompt_async|command|shell|init)$/.test(path)) {
      this.busy.add(id ?? '');
      return new Response(null, { status: 204 });
    }
    if (path.endsWith('/message')) return Response.json(this.messages);
    if (noun === 'permission') return this.#reply(this.permissions, 'Permission', id);
    if (noun === 'question') return this.#reply(this.questions, 'Question', id);
    const session = this.sessions.get(id ?? '');
    if (noun === 'session' && method === 'GET' && session !== undefined) {
      return Response.json({
        id,
        directory: this.#directory,
        title: '',
        time: { created: 0, updated: 0 },
        ...session,
      });
    }
    if (path.endsWith('/abort')) return Response.json(true);
    return Response.json({ name: 'NotFoundError', data: { message: path } }, { status: 404 });
  }

  #reply(pending: { readonly id: string }[], kind: string, id: string | undefined): Response {
    const index = pending.findIndex((request) => request.id === id);
    if (index === -1) {
      return Response.json({ _tag: `${kind}NotFoundError`, requestID: id, message: '' }, { status: 404 });
    }
    pending.splice(index, 1);
    return Response.json(true);
  }
}

function encodeFrame(frame: object): Uint8Array {
  return new TextEncoder().encode(`data: ${JSON.stringify(frame)}\n\n`);
}
