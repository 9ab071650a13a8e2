import { JarvisOpenCode, type RepoClient, type Session } from 'jarvis-opencode';
import { fakeHandle } from '../../test/support/server-handle.js';
import { matchOperation, operationsOf, type OpenApi, type Operation } from './doc.js';
import { samplesOf, type Samples } from './schema.js';

/** A request as it left the library. */
export interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: unknown;
  /** `undefined` when the document knows no such operation. */
  readonly operation: Operation | undefined;
}

/** The directory of the one repository. */
export const DIRECTORY = '/repo';
/** A worktree of it. */
export const WORKTREE = '/worktree';
/** The ids that made-up answers carry, and calls therefore ask for. */
export const IDS = {
  session: 'ses_1',
  message: 'msg_1',
  part: 'prt_1',
  permission: 'per_1',
  question: 'que_1',
  pty: 'pty_1',
} as const;

/** The files by which git links a worktree to its repository, by path. */
const LINKS: Readonly<Record<string, string>> = {
  '.git': `gitdir: ${DIRECTORY}/.git/worktrees/linked`,
  '.git/worktrees/linked/gitdir': `${WORKTREE}/.git`,
};

interface WireMessage {
  readonly info: Readonly<Record<string, unknown>>;
  readonly parts: unknown;
}

/** One client on a server that exists only as its document: it records what it is asked and makes up what it answers. */
export class World implements AsyncDisposable {
  readonly jarvis: JarvisOpenCode;
  readonly repo: RepoClient;
  readonly session: Session;
  /** What was sent since it was last emptied. */
  readonly sent: SentRequest[] = [];
  /** Which of the samples of a response is answered; the last one where there are fewer. */
  sample = 0;
  /** How many samples the responses asked for have, at most. */
  sampleCount = 0;
  readonly #operations: readonly Operation[];
  readonly #samples: Samples;
  readonly #cache = new Map<Operation, unknown[]>();
  #events: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** The message that began the last turn. */
  #prompted: string | undefined;
  #isSummarized = false;

  private constructor(doc: OpenApi, newer: boolean) {
    this.#operations = operationsOf(doc);
    this.#samples = {
      definitions: doc.components?.schemas ?? {},
      texts: { directory: DIRECTORY, worktree: DIRECTORY },
      newer,
    };
    const connected = (url: URL): void => void this.#record('GET', url, new Headers(), undefined);
    const options = {
      idle: false,
      fetch: (input: RequestInfo | URL, init?: RequestInit) => this.#fetch(new Request(input, init)),
      webSocket: class extends PlayedSocket {
        constructor(url: string) {
          super();
          connected(new URL(url));
        }
      },
    } as const;
    this.jarvis = new JarvisOpenCode(fakeHandle(), options);
    this.repo = this.jarvis.forRepo(DIRECTORY);
    this.session = this.repo.sessions.session(IDS.session);
  }

  /** Makes a world in which the session is known to be of the repository, so that no call has to ask first. */
  static async make(doc: OpenApi, { newer = false } = {}): Promise<World> {
    const world = new World(doc, newer);
    await world.session.refresh();
    world.sent.length = 0;
    world.sampleCount = 0;
    return world;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.jarvis.close();
  }

  async #fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const text = await request.text();
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const operation = this.#record(request.method, url, request.headers, body);
    if (operation === undefined) return Response.json({ name: 'NotFoundError' }, { status: 404 });
    return this.#answer(operation, request, body);
  }

  #record(method: string, url: URL, headers: Headers, body: unknown): Operation | undefined {
    const { pathname: path, searchParams: query } = url;
    const operation = matchOperation(this.#operations, method, path);
    this.sent.push({ method, path, query, headers, body, operation });
    return operation;
  }

  #answer(operation: Operation, request: Request, body: unknown): Response {
    const inWorktree = request.headers.get('x-opencode-directory') === encodeURIComponent(WORKTREE);
    switch (operation.name) {
      case 'GET /global/event':
        return this.#stream(request.signal);
      case 'POST /session/{sessionID}/prompt_async':
      case 'POST /session/{sessionID}/command':
      case 'POST /session/{sessionID}/shell':
      case 'POST /session/{sessionID}/init':
        this.#prompted = (body as { messageID?: string } | undefined)?.messageID;
        break;
      case 'POST /session/{sessionID}/summarize':
        this.#isSummarized = true;
        break;
      case 'POST /instance/dispose':
      case 'PATCH /config':
      case 'POST /project/git/init':
        this.#emitSoon('server.instance.disposed', { directory: DIRECTORY });
        break;
      case 'POST /global/dispose':
      case 'PATCH /global/config':
        this.#emitSoon('server.instance.disposed', { directory: DIRECTORY });
        this.#emitSoon('global.disposed', {});
        break;
      case 'POST /experimental/worktree/reset':
      case 'DELETE /experimental/worktree':
        this.#emitSoon('server.instance.disposed', { directory: WORKTREE }, WORKTREE);
        break;
      case 'POST /experimental/worktree':
        this.#emitSoon('worktree.ready', { name: 'text', branch: 'text' });
        break;
      default:
    }
    const { status, contentType, schema } = operation.success;
    if (contentType === undefined || schema === undefined) return new Response(null, { status });
    let samples = this.#samplesOf(operation);
    if (operation.name === 'GET /session/{sessionID}/message' && this.#prompted !== undefined) {
      samples = [turnOf(this.#prompted, samples)];
    } else if (operation.name === 'GET /session/{sessionID}/message' && this.#isSummarized) {
      samples = [summaryOf(samples)];
    } else if (operation.name === 'GET /session/{sessionID}/message/{messageID}') {
      samples = samples.map((sample) => withPart(sample as WireMessage));
    } else if (operation.name === 'POST /session/{sessionID}/revert') {
      samples = samples.map((sample) => ({ ...(sample as object), revert: body }));
    }
    this.sampleCount = Math.max(this.sampleCount, samples.length);
    const answer = samples[Math.min(this.sample, samples.length - 1)];
    let text = contentType.includes('json') ? JSON.stringify(answer) : String(answer);
    if (inWorktree) text = text.replaceAll(JSON.stringify(DIRECTORY), JSON.stringify(WORKTREE));
    const link = LINKS[new URL(request.url).searchParams.get('path') ?? ''];
    if (link !== undefined) text = JSON.stringify({ ...(answer as object), content: link });
    return new Response(text, { status, headers: { 'content-type': contentType } });
  }

  #samplesOf(operation: Operation): unknown[] {
    let samples = this.#cache.get(operation);
    if (samples === undefined) {
      samples =
        operation.success.schema === undefined ? [] : samplesOf(operation.success.schema, this.#samples);
      this.#cache.set(operation, samples);
    }
    return samples;
  }

  #stream(signal: AbortSignal): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#events = controller;
      },
      cancel: () => {
        this.#events = undefined;
      },
    });
    signal.addEventListener('abort', () => {
      this.#events?.error(signal.reason);
      this.#events = undefined;
    });
    this.#emit('server.connected', {});
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  }

  /** The server answers first. */
  #emitSoon(type: string, properties: object, directory = DIRECTORY): void {
    setTimeout(() => this.#emit(type, properties, directory), 1);
  }

  #emit(type: string, properties: object, directory = DIRECTORY): void {
    const envelope = { directory, payload: { id: 'evt_1', type, properties } };
    this.#events?.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(envelope)}\n\n`));
  }
}

/** A WebSocket that opens at once and says nothing. */
class PlayedSocket {
  binaryType = 'blob';
  readyState = 0;
  readonly #listeners = new Map<string, (event: never) => void>();

  constructor() {
    queueMicrotask(() => {
      this.readyState = 1;
      this.#emit('open', {});
    });
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, listener);
  }

  send(): void {
    // Nobody reads it.
  }

  close(code = 1000): void {
    this.readyState = 3;
    queueMicrotask(() => this.#emit('close', { code, reason: '' }));
  }

  #emit(type: string, event: object): void {
    this.#listeners.get(type)?.(event as never);
  }
}

/** The same message with the part that calls name. */
function withPart({ info, parts }: WireMessage): WireMessage {
  const part = { id: IDS.part, messageID: IDS.message, sessionID: IDS.session, type: 'text', text: 'a part' };
  return { info, parts: [...(parts as unknown[]), part] };
}

/** The messages of a session whose turn has ended, made of the sample messages. */
function turnOf(messageID: string, samples: readonly unknown[]): WireMessage[] {
  const ended = { time: { created: 1, completed: 2 }, finish: 'stop', structured: {} };
  return [
    ...ofRole('user', samples, { id: messageID }),
    ...ofRole('assistant', samples, { id: 'msg_2', parentID: messageID, ...ended }),
  ];
}

/** The messages of a session that was summarized, likewise. */
function summaryOf(samples: readonly unknown[]): WireMessage[] {
  const part = { id: IDS.part, sessionID: IDS.session };
  return [
    ...ofRole('user', samples, { id: 'msg_3' }, [
      { ...part, messageID: 'msg_3', type: 'compaction', auto: false },
    ]),
    ...ofRole('assistant', samples, { id: 'msg_4', parentID: 'msg_3', summary: true }, [
      { ...part, messageID: 'msg_4', type: 'text', text: 'a summary' },
    ]),
  ];
}

/** The sample message of a role, changed; none when there is no sample of that role. */
function ofRole(
  role: string,
  samples: readonly unknown[],
  info: object,
  parts?: readonly object[],
): WireMessage[] {
  const message = (samples.flat() as WireMessage[]).find((one) => one.info['role'] === role);
  if (message === undefined) return [];
  return [{ info: { ...message.info, ...info }, parts: parts ?? message.parts }];
}
