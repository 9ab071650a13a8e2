import { http, type HttpHandler } from 'msw';
import { systemClock, type Clock } from '../core/clock.js';
import type { Command } from '../client/schema/commands.js';
import type { Message } from '../client/schema/message.js';
import type { SessionInfo } from '../client/schema/session.js';
import {
  aClock,
  aFunction,
  anArray,
  aString,
  assertOptions,
  someStrings,
  type OptionChecks,
} from '../core/checks.js';
import { askRoutes } from './http/routes/asks.js';
import { Catalog } from './state/catalog.js';
import { Credentials } from './http/credentials.js';
import { CustomHandlers } from './http/custom-handlers.js';
import type { MockInstance } from './state/instances.js';
import { messageRoutes } from './http/routes/messages.js';
import { takeOrigin } from './open-mocks.js';
import type { MockHandler, MockOperation } from './http/operations.js';
import { connectPtys } from './http/pty-connect.js';
import { ptyRoutes } from './http/routes/ptys.js';
import { MemorySocket } from './state/pty-socket.js';
import { readRoutes } from './http/routes/reads.js';
import { unauthorized } from './http/replies.js';
import { RequestFaults, type RequestFailure } from './http/request-faults.js';
import type { MockRequest, Route } from './http/route.js';
import { Router } from './http/router.js';
import type { MockScript, ScriptOptions } from './script/script.js';
import { ScriptedServer, type MockShell } from './scripted-server.js';
import { serverRoutes } from './http/routes/server.js';
import { sessionRoutes } from './http/routes/sessions.js';
import { text } from './script/steps.js';
import type { MockEvent } from './state/stream-faults.js';
import { echoProgram, type MockTerminalProgram } from './state/terminal.js';

/** How the mock presents itself. */
export interface MockOpenCodeOptions {
  /**
   * Its origin. Nothing listens there: requests to it are answered by `handlers`.
   *
   * @default one of its own for each mock, e.g. `http://opencode-1.invalid`
   */
  readonly url?: string | undefined;
  /** Refuses requests without it. @default none */
  readonly password?: string | undefined;
  /** @default 'opencode' */
  readonly username?: string | undefined;
  /** @default '1.18.33' */
  readonly version?: string | undefined;
  /** The directory of requests that name none. @default '/' */
  readonly cwd?: string | undefined;
  /**
   * Which project a directory belongs to: on a real server the clones and worktrees of one repository are one project.
   *
   * @default each directory is a project of its own
   */
  readonly projectOf?: ((directory: string) => string) | undefined;
  /** How the model answers until `reply()` or `script()` says otherwise. @default every prompt with `ok` */
  readonly script?: MockScript | undefined;
  /** For which permissions every tool asks, e.g. `['bash', 'edit']`. @default none */
  readonly asks?: readonly string[] | undefined;
  /** The agents there are beside `build`, `plan`, `general` and `explore`. A prompt for any other fails. @default none */
  readonly agents?: readonly string[] | undefined;
  /** The models there are beside `mock/mock`, as `provider/model`. A prompt for any other fails. @default none */
  readonly models?: readonly string[] | undefined;
  /** The commands there are. @default `init` */
  readonly commands?: readonly Command[] | undefined;
  /** What the command lines of `session.shell()` put out. @default nothing */
  readonly shell?: MockShell | undefined;
  /** What runs in the terminals, whatever their command is. @default shows what is typed */
  readonly terminal?: MockTerminalProgram | undefined;
  /**
   * The time of what the mock stores, and of what takes time because a test says so: `wait()`, delays, slow disposals.
   *
   * @default the system's, which fake timers replace
   */
  readonly clock?: Clock | undefined;
}

const mockOptionChecks: OptionChecks<MockOpenCodeOptions> = {
  url: aString,
  password: aString,
  username: aString,
  version: aString,
  cwd: aString,
  projectOf: aFunction,
  script: aFunction,
  asks: someStrings,
  agents: someStrings,
  models: someStrings,
  commands: anArray,
  shell: aFunction,
  terminal: aFunction,
  clock: aClock,
};

/** What goes wrong with the event streams; `server.connected`, the first event of each, always comes. */
export interface MockStream {
  /** Loses the events that match until the returned fault is disposed. @default all of them */
  drop(matches?: (event: MockEvent) => boolean): Disposable;
  /** Keeps all events back until the returned fault is disposed; then they come, in their order. */
  hold(): Disposable;
  /** Lets all events come `ms` milliseconds later until the returned fault is disposed. */
  delay(ms: number): Disposable;
  /** Breaks every open stream in the middle of a frame; the clients may come again. */
  cut(): void;
}

/** An OpenCode server in memory, and what a test may tell it and ask it. */
export interface MockServer extends Disposable, AsyncDisposable {
  /** Its origin. */
  readonly url: string;
  /** For `setupServer(...mock.handlers)` or `setupWorker(...mock.handlers)`. */
  readonly handlers: readonly HttpHandler[];
  /** For `JarvisOpenCode.connect(mock.connectOptions)`. */
  readonly connectOptions: {
    readonly url: string;
    readonly username?: string;
    readonly password?: string;
    /** Connects to the terminals: msw does not see the WebSockets of the package `ws`. */
    readonly webSocket: new (url: string) => MemorySocket;
  };
  /** A directory to work in: any absolute path is one, and this one is told apart by its name. */
  repo(name?: string): Promise<string>;
  /** Lets the model answer every prompt from now on with this text. */
  reply(answer: string, options?: ScriptOptions): void;
  /** Lets the model answer every prompt from now on as the script says. */
  script(script: MockScript, options?: ScriptOptions): void;
  /**
   * Answers an operation in place of the mock, until the returned handler is disposed. The newest wins.
   *
   * @param operation - `METHOD /path`, with parameters in braces, as OpenCode documents it.
   * @throws {TypeError} for what is no operation.
   */
  use<O extends MockOperation>(operation: O, handle: MockHandler<O>): Disposable;
  /**
   * Lets the nth of the matching requests from now on fail.
   *
   * @throws {TypeError} {@link RangeError}
   */
  failRequest(operation: MockOperation, failure?: RequestFailure): Disposable;
  readonly stream: MockStream;
  /**
   * Breaks the configuration of a directory: once its instance is not loaded, everything that needs it is answered with 400 and
   * `ConfigJsonError`. Disposing the returned object repairs the file; as OpenCode 1.18.33 does, the mock reads it again only
   * after `crash()` and `restart()`, unless it has not read it yet.
   *
   * @param reason - what the error says. @default 'CloseBraceExpected'
   */
  breakRepo(directory: string, reason?: string): Disposable;
  /**
   * Lets every disposal from now on take this long.
   *
   * @throws {RangeError} unless `ms` is a number that is not negative.
   */
  slowDisposal(ms: number): void;
  /** Disposes the instance of a directory as another client would, whatever runs in it; resolves when it is gone. */
  dispose(directory: string): Promise<void>;
  /** Ends it like a process that is killed: streams break, turns stop where they are, requests get no answer. */
  crash(): void;
  /** Starts it again after `crash()`: what was stored is there, and no instance is loaded. */
  restart(): void;
  /** What was asked so far, oldest first. */
  requests(): MockRequest[];
  /** The directories that were used so far, with what became of their instances. */
  instances(): MockInstance[];
  /** The sessions that exist, oldest first. */
  sessions(): SessionInfo[];
  /**
   * The messages of a session, oldest first.
   *
   * @throws {Error} when there is no such session.
   */
  messages(sessionID: string): Message[];
  /** Ends it like a server that is gone, with the clients it made. Idempotent. */
  close(): Promise<void>;
}

/** The operations the mock has; the first that matches answers. */
export const MOCKED_ROUTES: readonly Route[] = [
  ...serverRoutes,
  ...sessionRoutes,
  ...messageRoutes,
  ...askRoutes,
  ...ptyRoutes,
  ...readRoutes,
];

const INIT: Command = {
  name: 'init',
  description: 'guided AGENTS.md setup',
  source: 'command',
  template: 'Create or update `AGENTS.md` for this repository.\n\n$ARGUMENTS',
  hints: ['$ARGUMENTS'],
};

let made = 0;

/**
 * Makes an OpenCode server in memory.
 *
 * @param maker - the function the test called: the stack of a mock that was not closed begins above it.
 * @throws {TypeError} for an invalid option, e.g. a `url` that is no http URL, and a model that is not written as `provider/model`.
 * @throws {Error} when another open mock has this `url`.
 */
export function makeMockServer(
  options: MockOpenCodeOptions,
  maker: (...args: never[]) => unknown,
): MockServer {
  assertOptions('mockOpenCode()', mockOptionChecks, options);
  const { username, password, version = '1.18.33', cwd = '/' } = options;
  made += 1;
  const url = originOf(options.url ?? `${defaultScheme()}://opencode-${made}.invalid`);
  const server = new ScriptedServer({
    version,
    cwd,
    clock: options.clock ?? systemClock,
    projectOf: options.projectOf ?? ((directory) => `project of ${directory}`),
    script: options.script ?? (() => [text('ok')]),
    asks: options.asks ?? [],
    catalog: new Catalog(options.agents ?? [], options.models ?? []),
    commands: options.commands ?? [INIT],
    shell: options.shell ?? (() => ''),
    terminal: options.terminal ?? echoProgram,
  });
  const credentials = new Credentials(username ?? 'opencode', password);
  const faults = new RequestFaults();
  const handlers = new CustomHandlers();
  const router = new Router({ server, routes: MOCKED_ROUTES, faults, handlers });
  const requests: MockRequest[] = [];
  const giveBack = takeOrigin(url, maker);
  let repos = 0;
  let isDown = false;
  let isClosed = false;

  const isUp = (): boolean => !isDown && !isClosed;
  const record = (request: MockRequest): void => void requests.push(request);
  const connect = connectPtys({ server, credentials, isUp, record });

  async function answer(request: Request): Promise<Response> {
    if (!isUp()) return Response.error();
    if (!credentials.accepts(request)) return unauthorized();
    const response = await router.answer(request, record);
    // Nobody gets an answer of a process that has gone meanwhile.
    return isUp() ? response : Response.error();
  }

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    server.close();
    giveBack();
  }

  return {
    url,
    // One for everything: the routes go by the path as it was sent, which msw's own patterns do not show.
    handlers: [withoutStreamLogs(http.all(everyPathOf(url), ({ request }) => answer(request)))],
    connectOptions: {
      url,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      webSocket: class extends MemorySocket {
        constructor(socketURL: string) {
          super(socketURL, connect);
        }
      },
    },
    async repo(name = 'repo') {
      repos += 1;
      return `/repos/${repos}/${name}`;
    },
    reply: (reply, scriptOptions) => server.scripts.set(() => [text(reply)], scriptOptions),
    script: (script, scriptOptions) => server.scripts.set(script, scriptOptions),
    use: (operation, handle) => handlers.add(operation, handle),
    failRequest: (operation, failure) => faults.add(operation, failure),
    breakRepo: (directory, reason = 'CloseBraceExpected') => server.instances.break(directory, reason),
    stream: {
      drop: (matches) => server.events.faults.drop(matches),
      hold: () => server.events.faults.hold(),
      delay: (ms) => server.events.faults.delay(ms),
      cut: () => server.events.cut(),
    },
    slowDisposal(ms) {
      if (!(ms >= 0)) throw new RangeError(`Expected ms to be a number that is not negative, got ${ms}.`);
      server.instances.disposalMs = ms;
    },
    dispose: (directory) => server.instances.dispose(server.instances.use(directory)),
    crash() {
      isDown = true;
      server.crash();
    },
    restart() {
      isDown = false;
    },
    requests: () => structuredClone(requests),
    instances: () => server.instances.list(),
    sessions: () => structuredClone(server.sessions.all()),
    messages: (sessionID) => structuredClone([...server.sessions.messages(sessionID)]),
    close: async () => close(),
    [Symbol.dispose]: close,
    [Symbol.asyncDispose]: async () => close(),
  };
}

/** A page that came by https may not send requests by http, whoever would answer them. */
function defaultScheme(): string {
  const { location } = globalThis as { location?: { readonly protocol?: string } };
  return location?.protocol === 'https:' ? 'https' : 'http';
}

function originOf(url: string): string {
  if (URL.canParse(url)) {
    const { protocol, origin } = new URL(url);
    if (protocol === 'http:' || protocol === 'https:') return origin;
  }
  throw new TypeError(
    `Expected url to be an http URL such as http://opencode.test, got ${JSON.stringify(url)}.`,
  );
}

/**
 * The worker of msw logs what was answered, unless it is `quiet`. It would read a copy of an event stream to its end: a
 * stream that a client has left would stay open, and one that breaks would reject where nobody listens.
 */
function withoutStreamLogs(handler: HttpHandler): HttpHandler {
  const log = handler.log.bind(handler);
  handler.log = async (args) => {
    const type = args.response.headers.get('content-type') ?? '';
    if (type.startsWith('text/event-stream')) await args.response.body?.cancel();
    else await log(args);
  };
  return handler;
}

/** Without a group in it msw has nothing to decode, and so nothing that it could fail to. */
function everyPathOf(origin: string): RegExp {
  return new RegExp(`^${origin.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}/`);
}
