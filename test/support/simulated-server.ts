import type { FetchFunction, SessionStatus } from 'jarvis-opencode';
import { SimulatedInstance, type SimulatedWork } from './simulated-instances.js';
import { SimulatedSession } from './simulated-session.js';

/** What the test knows of its client, so that the server can say whether a call of it is a mistake. */
export interface SimulatedClient {
  /** Why the directory's instance must not be disposed, as far as the client itself is concerned. */
  holdOf(directory: string): string | undefined;
  /** Whether the directory's instance is being disposed whatever holds it. */
  isForcing(directory: string): boolean;
}

interface Exchange {
  readonly directory: string;
  readonly path: string;
  /** Ends it without an answer. */
  cut(error: Error): void;
}

/** How long things take, in milliseconds: the next of the list each time, over and over. */
export interface SimulatedDelays {
  readonly answersMs: readonly number[];
  readonly disposalsMs: readonly number[];
}

/** How long before it is disposed an instance must have been asked what it does. */
const LOOK_MS = 1_000;
const PROBES = ['/session/status', '/permission', '/question', '/pty'];

/**
 * A server in memory that behaves like OpenCode 1.18.33 where instances are concerned, knows at each moment what runs in
 * them, and notes every call that a careful client would not have sent. It runs on `setTimeout`, to be replaced by a fake.
 */
export class SimulatedServer {
  /** What the client did wrong. */
  readonly violations: string[] = [];
  /** Counted by the test: what was told in an earlier step has arrived. */
  step = 0;
  readonly instances = new Map<string, SimulatedInstance>();
  readonly sessions = new Map<string, SimulatedSession>();
  readonly #client: SimulatedClient;
  readonly #delays: SimulatedDelays;
  readonly #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  readonly #inFlight = new Set<Exchange>();
  /** Pending permissions and questions by id. */
  readonly #asks = new Map<
    string,
    { readonly kind: 'permission' | 'question'; readonly sessionID: string }
  >();
  /** Since which step the client has been told that the directory's instance is gone. */
  readonly #goneAt = new Map<string, number>();
  /** In which step the last of those who listened was lost. */
  #deafSince = 0;
  /** Which process this is; what an earlier one began goes no further. */
  #isDown = false;
  #count = 0;
  #answers = 0;
  #disposals = 0;
  readonly #disposalTimers: ReturnType<typeof setTimeout>[] = [];

  constructor(client: SimulatedClient, delays: SimulatedDelays) {
    this.#client = client;
    this.#delays = delays;
  }

  // ── what the client sees ──────────────────────────────────────────────────

  readonly fetch: FetchFunction = (input, init = {}) => {
    const { pathname, searchParams } = new URL(input as string);
    const signal = init.signal ?? undefined;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#isDown) return Promise.reject(connectionError('ECONNREFUSED'));
    if (pathname === '/global/event') return Promise.resolve(this.#open(signal));
    if (pathname === '/global/health')
      return Promise.resolve(Response.json({ healthy: true, version: '1.18.33' }));
    const header = new Headers(init.headers).get('x-opencode-directory');
    const named = pathname.split('/')[2] ?? '';
    const session = this.sessions.get(decodeURIComponent(named));
    // It finds the directory of a session by the text of the path.
    const directory = this.sessions.get(named)?.directory ?? decodeURIComponent(header ?? '');
    const exchange: Exchange = {
      directory,
      path: `${init.method ?? 'GET'} ${pathname}`,
      cut: () => undefined,
    };
    const limit = Number(searchParams.get('limit') ?? 100);
    const answer = this.#arrive(exchange, pathname, session, init.body, limit);
    answer.catch(() => undefined);
    return new Promise((resolve, reject) => {
      this.#inFlight.add(exchange);
      const { answersMs } = this.#delays;
      const timer = setTimeout(
        () => {
          this.#inFlight.delete(exchange);
          answer.then(
            (body) => resolve(body === undefined ? new Response(null, { status: 204 }) : Response.json(body)),
            reject,
          );
        },
        answersMs[this.#answers++ % answersMs.length],
      );
      const end = (reason: unknown): void => {
        clearTimeout(timer);
        this.#inFlight.delete(exchange);
        reject(reason);
      };
      exchange.cut = end;
      signal?.addEventListener('abort', () => end(signal.reason));
    });
  };

  /** Does at once what a request asks for; the answer comes later. */
  async #arrive(
    exchange: Exchange,
    pathname: string,
    session: SimulatedSession | undefined,
    body: RequestInit['body'],
    limit: number,
  ): Promise<unknown> {
    if (pathname === '/global/dispose') {
      return Promise.all([...this.instances.keys()].map((directory) => this.#dispose(directory, true))).then(
        () => {
          this.#tell('global', 'global.disposed', {});
          return true;
        },
      );
    }
    const { directory, path } = exchange;
    if (pathname === '/instance/dispose') {
      void this.#dispose(directory, true);
      return true;
    }
    const instance = this.#use(directory, path);
    if (instance.disposal?.byUs) this.violations.push(`${path} was sent to an instance being disposed`);
    const running = [...this.sessions.values()].filter((each) => each.directory === directory);
    switch (pathname) {
      case '/path':
        return { home: '/', state: '/', config: '/', worktree: directory, directory };
      case '/mcp':
        return {};
      case '/config/providers':
        return { providers: [], default: {} };
      case '/session/status':
        instance.askedAt.turn = { count: this.#count, time: Date.now() };
        return Object.fromEntries(
          running.filter(({ status }) => status.type !== 'idle').map(({ id, status }) => [id, status]),
        );
      case '/pty':
        instance.askedAt.pty = { count: this.#count, time: Date.now() };
        return [...instance.work.values()].filter(({ kind }) => kind === 'pty').map(({ id }) => ptyOf(id));
      case '/permission':
      case '/question':
        return [...this.#asks]
          .filter(([, ask]) => `/${ask.kind}` === pathname && this.#directoryOf(ask.sessionID) === directory)
          .map(([id, ask]) => askOf(id, ask.sessionID));
    }
    if (session === undefined) throw new Error(`the simulated server has no ${path}`);
    if (pathname.endsWith('/prompt_async')) {
      const { messageID } = JSON.parse(body as string) as { messageID: string };
      this.#beginTurn(session, messageID);
      return undefined;
    }
    if (pathname.endsWith('/abort')) {
      this.abortTurn(session.id);
      return true;
    }
    if (pathname.endsWith('/message')) return session.messages.slice(-limit);
    return session.info;
  }

  #open(signal: AbortSignal | undefined): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#streams.add(controller);
        signal?.addEventListener('abort', () => this.#streams.delete(controller));
      },
      cancel: () => this.dropStreams(),
    });
    this.#tell(undefined, 'server.connected', {});
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  }

  /** Returns since which step the client knows: it does not when nobody listens. */
  #tell(directory: string | undefined, type: string, properties: object): number {
    const frame = JSON.stringify({ directory, payload: { id: `evt_${this.#count++}`, type, properties } });
    for (const stream of this.#streams) stream.enqueue(new TextEncoder().encode(`data: ${frame}\n\n`));
    const instance = this.instances.get(directory ?? '');
    if (this.#streams.size > 0 && instance !== undefined) instance.isKnown = true;
    return this.#streams.size > 0 ? this.step : Number.POSITIVE_INFINITY;
  }

  // ── what happens on the server ────────────────────────────────────────────

  /** How many listen to the events. */
  get streams(): number {
    return this.#streams.size;
  }

  /** The turns that run, also those that wait for their provider or for an answer. */
  runningTurns(): SimulatedSession[] {
    return [...this.sessions.values()].filter(({ status }) => status.type !== 'idle');
  }

  ptys(): string[] {
    return this.#idsOf('pty');
  }

  /** Requests of the client that are not answered yet. */
  get requestsInFlight(): number {
    return this.#inFlight.size;
  }

  /** How many permissions and questions are listed as pending. */
  get asks(): number {
    return this.#asks.size;
  }

  get isDisposing(): boolean {
    return [...this.instances.values()].some(({ disposal }) => disposal !== undefined);
  }

  heartbeat(): void {
    this.#tell(undefined, 'server.heartbeat', {});
  }

  addSession(id: string, directory: string): void {
    this.sessions.set(id, new SimulatedSession(id, directory));
  }

  /** Another client asks for something in the directory, which no event tells of. */
  useByOthers(directory: string): void {
    if (!this.instances.has(directory))
      this.instances.set(directory, new SimulatedInstance(directory, false));
  }

  /** Another client prompts a session of its own. */
  beginTurnOfOthers(directory: string): void {
    this.useByOthers(directory);
    const id = `ses_other_${this.sessions.size}`;
    this.addSession(id, directory);
    this.#beginTurn(this.sessions.get(id) as SimulatedSession, `msg_${id}`);
  }

  /** A running turn calls a subagent. */
  beginChild(sessionID: string): void {
    const { directory, id: parentID } = this.sessions.get(sessionID) as SimulatedSession;
    const child = new SimulatedSession(`ses_child_${this.sessions.size}`, directory, parentID);
    this.sessions.set(child.id, child);
    this.#tell(directory, 'session.created', { sessionID: child.id, info: child.info });
    this.#beginTurn(child, `msg_${child.id}`);
  }

  /** The provider of a running turn fails for a while. */
  retry(sessionID: string): void {
    const session = this.sessions.get(sessionID) as SimulatedSession;
    session.status = { type: 'retry', attempt: 1, message: 'overloaded', next: 1 };
    this.#tellStatus(session);
  }

  ask(kind: 'permission' | 'question', sessionID: string): void {
    const id = `${kind === 'permission' ? 'per' : 'que'}_${this.#count++}`;
    this.#asks.set(id, { kind, sessionID });
    this.#tell(this.#directoryOf(sessionID), `${kind}.asked`, askOf(id, sessionID));
  }

  /** Ends a turn, and before it those of its children. */
  finishTurn(sessionID: string): void {
    for (const child of this.#childrenOf(sessionID)) this.finishTurn(child.id);
    const session = this.sessions.get(sessionID) as SimulatedSession;
    for (const [id, ask] of [...this.#asks]) {
      if (ask.sessionID !== sessionID) continue;
      this.#asks.delete(id);
      const answer = ask.kind === 'permission' ? { reply: 'once' } : { answers: [] };
      this.#tell(session.directory, `${ask.kind}.replied`, { sessionID, requestID: id, ...answer });
    }
    this.#endTurn(session, `answer to ${session.turn?.messageID}`);
  }

  /** Aborts a turn with those of its children. What it has asked for stays in the lists for ever. */
  abortTurn(sessionID: string): void {
    for (const child of this.#childrenOf(sessionID)) this.abortTurn(child.id);
    const session = this.sessions.get(sessionID) as SimulatedSession;
    if (session.status.type === 'idle') return;
    const error = { name: 'MessageAbortedError', data: { message: 'Aborted' } };
    this.#tell(session.directory, 'session.error', { sessionID, error });
    this.#endTurn(session, undefined);
  }

  openPty(directory: string): void {
    this.useByOthers(directory);
    const id = `pty_${this.#count}`;
    const toldAt = this.#tell(directory, 'pty.created', { info: ptyOf(id) });
    this.instances.get(directory)?.work.set(id, {
      kind: 'pty',
      id,
      begunAt: this.#count++,
      begunIn: this.step,
      toldAt,
    });
  }

  closePty(id: string): void {
    for (const instance of this.instances.values()) {
      if (instance.work.delete(id)) this.#tell(instance.directory, 'pty.exited', { id, exitCode: 0 });
    }
  }

  disposeByOthers(directory: string): void {
    if (this.instances.has(directory)) void this.#dispose(directory, false);
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** The process is killed: nothing it did goes on, and what it stored stays as it was. */
  crash(): void {
    this.#isDown = true;
    this.dropStreams();
    for (const exchange of this.#inFlight) exchange.cut(connectionError('ECONNRESET'));
    for (const timer of this.#disposalTimers.splice(0)) clearTimeout(timer);
    for (const directory of this.instances.keys()) this.#goneAt.set(directory, this.step);
    this.instances.clear();
    this.#asks.clear();
    for (const session of this.runningTurns()) session.cut();
  }

  /** There is another process. */
  start(): void {
    this.#isDown = false;
  }

  dropStreams(): void {
    for (const stream of this.#streams) {
      try {
        stream.error(new Error('the connection was dropped'));
      } catch {
        // It was cancelled.
      }
    }
    this.#streams.clear();
    this.#deafSince = this.step;
  }

  #idsOf(kind: SimulatedWork['kind']): string[] {
    const work = [...this.instances.values()].flatMap((instance) => [...instance.work.values()]);
    return work.filter((each) => each.kind === kind).map(({ id }) => id);
  }

  #directoryOf(sessionID: string): string | undefined {
    return this.sessions.get(sessionID)?.directory;
  }

  #childrenOf(sessionID: string): SimulatedSession[] {
    return this.runningTurns().filter(({ parentID }) => parentID === sessionID);
  }

  /** The instance for a request of the client; loads it if it is not. */
  #use(directory: string, path: string): SimulatedInstance {
    let instance = this.instances.get(directory);
    if (instance === undefined) {
      const isTold = (this.#goneAt.get(directory) ?? -1) < this.step;
      if (isTold && this.#client.holdOf(directory) === undefined)
        this.violations.push(`${path} loaded ${directory}, which nobody had asked for`);
      instance = new SimulatedInstance(directory, true);
      this.instances.set(directory, instance);
    }
    instance.isKnown = true;
    return instance;
  }

  #beginTurn(session: SimulatedSession, messageID: string): void {
    const { directory, id } = session;
    session.begin(messageID);
    const begunAt = this.#count++;
    this.#tell(directory, 'message.updated', { sessionID: id, info: session.messages.at(-2)?.info });
    const toldAt = this.#tellStatus(session);
    this.#tell(directory, 'message.updated', { sessionID: id, info: session.turn?.answer.info });
    this.instances.get(directory)?.work.set(id, { kind: 'turn', id, begunAt, begunIn: this.step, toldAt });
  }

  #endTurn(session: SimulatedSession, text: string | undefined): void {
    const { directory, id, turn } = session;
    session.end(text);
    this.instances.get(directory)?.work.delete(id);
    this.#tell(directory, 'message.updated', { sessionID: id, info: turn?.answer.info });
    this.#tellStatus(session);
    this.#tell(directory, 'session.idle', { sessionID: id });
  }

  #tellStatus({ directory, id, status }: { directory: string; id: string; status: SessionStatus }): number {
    return this.#tell(directory, 'session.status', { sessionID: id, status });
  }

  async #dispose(directory: string, byUs: boolean): Promise<void> {
    const instance = byUs ? this.#doom(directory) : this.instances.get(directory);
    if (instance === undefined) return;
    if (instance.disposal !== undefined) {
      instance.disposal.byUs ||= byUs;
      return;
    }
    const cutOff = [...instance.work.values()];
    instance.disposal = { byUs, cutOff };
    for (const { kind, id } of cutOff) if (kind === 'turn') this.abortTurn(id);
    for (const { kind, id } of cutOff) if (kind === 'pty') this.closePty(id);
    const { disposalsMs } = this.#delays;
    const disposalMs = disposalsMs[this.#disposals++ % disposalsMs.length];
    await new Promise((resolve) => this.#disposalTimers.push(setTimeout(resolve, disposalMs)));
    this.instances.delete(directory);
    for (const [id, { sessionID }] of [...this.#asks])
      if (this.#directoryOf(sessionID) === directory) this.#asks.delete(id);
    const toldAt = this.#tell(directory, 'server.instance.disposed', { directory });
    this.#goneAt.set(directory, toldAt);
    // What began in the meantime is not lost: it goes on in an instance of its own.
    if (instance.work.size === 0) return;
    const next = new SimulatedInstance(directory, false);
    for (const [id, work] of instance.work) next.work.set(id, { ...work, toldAt: Number.POSITIVE_INFINITY });
    this.instances.set(directory, next);
  }

  /** The instance that the client disposes, after a look at what it should have known. */
  #doom(directory: string): SimulatedInstance {
    // Of what others have loaded unseen, the client cannot know that a call for all will dispose it.
    const isKnown = this.instances.get(directory)?.isKnown !== false;
    const instance = this.#use(directory, 'POST /instance/dispose');
    const wrong = (why: string): number => this.violations.push(`${directory} was disposed ${why}`);
    if (!this.#client.isForcing(directory)) {
      for (const { kind, id } of instance.knownWork(this.step)) wrong(`while the ${kind} ${id} ran`);
      const hold = this.#client.holdOf(directory);
      if (hold !== undefined && isKnown) wrong(`in spite of a ${hold}`);
      if (isKnown)
        for (const { id } of instance.untoldTerminals(this.step)) wrong(`without asking for the pty ${id}`);
      if (isKnown && instance.askedAt.turn.time < Date.now() - LOOK_MS)
        wrong('without a look at what runs in it');
    }
    for (const exchange of this.#inFlight) {
      const isProbe = PROBES.some((path) => exchange.path === `GET ${path}`);
      if (exchange.directory === directory && !isProbe) wrong(`while ${exchange.path} was not answered`);
    }
    if (this.#streams.size === 0 && this.#deafSince < this.step) wrong('while nobody listened');
    return instance;
  }
}

function ptyOf(id: string): object {
  return { id, title: id, command: 'sh', args: [], cwd: '/', status: 'running', pid: 1 };
}

function connectionError(code: string): Error {
  return new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });
}

function askOf(id: string, sessionID: string): object {
  return { id, sessionID, permission: 'bash', patterns: [], metadata: {}, always: [], questions: [] };
}
