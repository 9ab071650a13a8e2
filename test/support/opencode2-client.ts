/** An event as the stream of OpenCode 2 sends it. */
export interface OpenCode2Frame {
  readonly id: string;
  readonly created?: number;
  readonly type: string;
  readonly location?: { readonly directory: string };
  readonly data: Readonly<Record<string, unknown>>;
  readonly durable?: { readonly aggregateID: string; readonly seq: number; readonly version: number };
}

interface Waiter {
  readonly matches: (frame: OpenCode2Frame) => boolean;
  readonly resolve: (frame: OpenCode2Frame) => void;
}

/** The answer of a request: its status, its content type, and its body, parsed where it is JSON. */
export interface OpenCode2Answer {
  readonly status: number;
  readonly type: string | null;
  readonly body: unknown;
}

/** Speaks to an OpenCode 2 server by plain requests, without this library. */
export class OpenCode2Client {
  /** The events so far. */
  readonly frames: OpenCode2Frame[] = [];
  /** The comments of the stream so far. */
  readonly comments: string[] = [];
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #waiters = new Set<Waiter>();
  readonly #closed = new AbortController();
  readonly #commentWaiters = new Set<() => void>();
  #ended: Promise<void> = Promise.resolve();

  constructor({ url, password }: { readonly url: string; readonly password?: string | undefined }) {
    this.#url = url;
    this.#headers = {
      'content-type': 'application/json',
      ...(password !== undefined && { authorization: `Basic ${btoa(`opencode:${password}`)}` }),
    };
  }

  /** Reads the events until {@link close}; resolves with the answer when the first one has arrived. */
  async listen(): Promise<Response> {
    const response = await fetch(`${this.#url}/api/event`, {
      headers: this.#headers,
      signal: this.#closed.signal,
    });
    const connected = this.until(({ type }) => type === 'server.connected');
    this.#ended = this.#read(response);
    this.#ended.catch(() => undefined);
    await connected;
    return response;
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = this.#headers,
  ): Promise<OpenCode2Answer> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const type = response.headers.get('content-type')?.split(';', 1)[0] ?? null;
    const text = await response.text();
    return { status: response.status, type, body: type === 'application/json' ? JSON.parse(text) : text };
  }

  get(path: string): Promise<OpenCode2Answer> {
    return this.call('GET', path);
  }

  /** The `data` of an answer. */
  async data<T>(path: string): Promise<T> {
    return ((await this.get(path)).body as { readonly data: T }).data;
  }

  post(path: string, body: unknown = {}): Promise<OpenCode2Answer> {
    return this.call('POST', path, body);
  }

  /** Creates a session. @returns its id. */
  async session(directory: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const { body } = await this.post('/api/session', { title: 'a title', location: { directory }, ...more });
    return (body as { data: { id: string } }).data.id;
  }

  prompt(
    sessionID: string,
    text: string,
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<OpenCode2Answer> {
    return this.post(`/api/session/${sessionID}/prompt`, { text, ...more });
  }

  /** Prompts, and resolves when the execution has ended, with its last event. */
  async turn(sessionID: string, text: string): Promise<OpenCode2Frame> {
    const from = this.frames.length;
    await this.prompt(sessionID, text);
    return this.end(sessionID, from);
  }

  /** Resolves with the event that ends an execution of a session. @param from - the first event that counts. @default 0 */
  end(sessionID: string, from = 0): Promise<OpenCode2Frame> {
    return this.until(
      ({ type, data }) =>
        data['sessionID'] === sessionID && /^session\.execution\.(succeeded|failed|interrupted)$/.test(type),
      from,
    );
  }

  /** Resolves with the first event of a type. */
  first(type: string, from = 0): Promise<OpenCode2Frame> {
    return this.until((frame) => frame.type === type, from);
  }

  /** Resolves with the first event that matches, also when it has arrived already. */
  until(matches: (frame: OpenCode2Frame) => boolean, from = 0): Promise<OpenCode2Frame> {
    const early = this.frames.slice(from).find(matches);
    if (early !== undefined) return Promise.resolve(early);
    return new Promise((resolve) => {
      const waiter: Waiter = {
        matches,
        resolve: (frame) => {
          this.#waiters.delete(waiter);
          resolve(frame);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /** Resolves when so many comments have arrived. */
  untilComments(count: number): Promise<void> {
    if (this.comments.length >= count) return Promise.resolve();
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.comments.length < count) return;
        this.#commentWaiters.delete(check);
        resolve();
      };
      this.#commentWaiters.add(check);
    });
  }

  /** Rejects when the stream breaks. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** The events about a session, without the noise of a boot. */
  of(sessionID: string): OpenCode2Frame[] {
    return this.frames.filter(
      ({ data }) =>
        data['sessionID'] === sessionID ||
        (data['form'] as { sessionID?: string } | undefined)?.sessionID === sessionID,
    );
  }

  /** The entries of a session, newest first. */
  entries(sessionID: string): Promise<Readonly<Record<string, unknown>>[]> {
    return this.data(`/api/session/${sessionID}/message`);
  }

  /** The directories that are loaded. */
  async loaded(): Promise<string[]> {
    const { body } = await this.get('/api/debug/location');
    return (body as { directory: string }[]).map(({ directory }) => directory);
  }

  close(): void {
    this.#closed.abort();
  }

  async #read(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
        this.#take(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  }

  #take(block: string): void {
    if (!block.startsWith('data: ')) {
      this.comments.push(block);
      for (const check of this.#commentWaiters) check();
      return;
    }
    const frame = JSON.parse(block.slice('data: '.length)) as OpenCode2Frame;
    this.frames.push(frame);
    for (const waiter of this.#waiters) if (waiter.matches(frame)) waiter.resolve(frame);
  }
}

/** A query that names a location. */
export function at(directory: string): string {
  return `location[directory]=${encodeURIComponent(directory)}`;
}
