import { http, type HttpHandler } from 'msw';
import { systemClock } from '../core/clock.js';
import type { Command } from '../client/schema/commands.js';
import {
  aClock,
  aFunction,
  aNumber,
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
import { messageRoutes } from './http/routes/messages.js';
import type { MockOpenCodeOptions, MockServer } from './mock-types.js';
import { takeOrigin } from './open-mocks.js';
import { connectPtys } from './http/pty-connect.js';
import { ptyRoutes } from './http/routes/ptys.js';
import { MemorySocket } from './state/pty-socket.js';
import { readRoutes } from './http/routes/reads.js';
import { unauthorized } from './http/replies.js';
import { RequestFaults } from './http/request-faults.js';
import type { MockRequest, Route } from './http/route.js';
import { Router } from './http/router.js';
import { OpenCode2 } from './opencode2/opencode2.js';
import { OpenCode2Router } from './opencode2/router.js';
import { OPENCODE_2_ROUTES } from './opencode2/routes/all.js';
import { ScriptedServer, type ScriptedServerInit } from './scripted-server.js';
import { serverRoutes } from './http/routes/server.js';
import { sessionRoutes } from './http/routes/sessions.js';
import { text } from './script/steps.js';
import { echoProgram } from './state/terminal.js';

const mockOptionChecks: OptionChecks<MockOpenCodeOptions> = {
  opencode: aNumber('1 or 2', (value) => value === 1 || value === 2),
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

/** The operations that the mock answers; the first one that matches wins. */
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
 * @param maker - the function the test called; the stack of a mock that is never closed begins with its caller.
 * @throws {TypeError} for an invalid option, e.g. a `url` that is not an http URL, or a model that is not written as
 * `provider/model`.
 * @throws {Error} when another open mock has this `url`.
 */
export function makeMockServer(
  options: MockOpenCodeOptions,
  maker: (...args: never[]) => unknown,
): MockServer {
  assertOptions('mockOpenCode()', mockOptionChecks, options);
  const { opencode: major = 1, cwd = '/' } = options;
  const version = options.version ?? (major === 2 ? '2.0.14' : '1.18.33');
  made += 1;
  const url = originOf(options.url ?? `${defaultScheme()}://opencode-${made}.invalid`);
  const { username, password } = accessOf(options, `password-${made}`);
  const credentials = new Credentials(username ?? 'opencode', password);
  const faults = new RequestFaults();
  const handlers = new CustomHandlers();
  const init = {
    version,
    cwd,
    clock: options.clock ?? systemClock,
    projectOf: options.projectOf ?? ((directory: string) => `project of ${directory}`),
    script: options.script ?? (() => [text('ok')]),
    asks: options.asks ?? [],
    catalog: new Catalog(options.agents ?? [], options.models ?? []),
    commands: options.commands ?? [INIT],
    shell: options.shell ?? (() => ''),
    terminal: options.terminal ?? echoProgram,
  };
  const served =
    major === 2
      ? openCode2(init, { credentials, faults, handlers })
      : openCode1(init, { credentials, faults, handlers });
  const { server, router, dispose, crash } = served;
  const requests: MockRequest[] = [];
  const releaseOrigin = takeOrigin(url, maker);
  let repos = 0;
  let isDown = false;
  let isClosed = false;

  const isUp = (): boolean => !isDown && !isClosed;
  const record = (request: MockRequest): void => void requests.push(request);
  const connect = connectPtys({ server, credentials, isUp, record });

  async function answer(request: Request): Promise<Response> {
    if (!isUp()) return Response.error();
    const response = await router.answer(request, record);
    // A server that crashed or was closed meanwhile sends no answer.
    return isUp() ? response : Response.error();
  }

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    served.close();
    releaseOrigin();
  }

  return {
    url,
    version,
    // One handler for all paths: routing needs the path as it was sent, which msw's own patterns do not show.
    handlers: [withoutStreamLogs(http.all(everyPathOf(url), ({ request }) => answer(request)))],
    connectOptions: {
      url,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(major === 2 && { experimental: { opencode2: true } }),
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
    dispose,
    crash() {
      isDown = true;
      crash();
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

/** What the requests to a mock pass. */
interface Gates {
  readonly credentials: Credentials;
  readonly faults: RequestFaults;
  readonly handlers: CustomHandlers;
}

/** A server of one major version. */
interface Served {
  readonly server: ScriptedServer;
  readonly router: {
    answer(request: Request, record: (request: MockRequest) => void): Promise<Response>;
  };
  /** Unloads a directory as another client would. */
  readonly dispose: (directory: string) => Promise<void>;
  readonly crash: () => void;
  readonly close: () => void;
}

function openCode1(init: ScriptedServerInit, { credentials, faults, handlers }: Gates): Served {
  const server = new ScriptedServer(init);
  const router = new Router({ server, routes: MOCKED_ROUTES, faults, handlers });
  return {
    server,
    router: {
      answer: async (request, record) =>
        credentials.accepts(request) ? router.answer(request, record) : unauthorized(),
    },
    dispose: (directory) => server.instances.dispose(server.instances.use(directory)),
    crash: () => server.crash(),
    close: () => server.close(),
  };
}

function openCode2(init: ScriptedServerInit, gates: Gates): Served {
  const opencode = new OpenCode2(init);
  return {
    server: opencode.server,
    router: new OpenCode2Router({ opencode, routes: OPENCODE_2_ROUTES, ...gates }),
    dispose: (directory) => opencode.evict(directory),
    crash: () => opencode.crash(),
    close: () => opencode.close(),
  };
}

/** The user and the password of a mock; OpenCode 2 has always a password and one user. */
function accessOf(
  { opencode, username, password }: MockOpenCodeOptions,
  made: string,
): { readonly username?: string | undefined; readonly password?: string | undefined } {
  if (opencode !== 2) return { username, password };
  if (username !== undefined && username !== 'opencode')
    throw new TypeError(
      `Expected no username for OpenCode 2, whose user is opencode, got ${JSON.stringify(username)}.`,
    );
  return { password: password ?? made };
}

/** A page that was loaded by https may not send requests by http, although msw would answer them. */
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
 * Keeps msw's worker, which logs every answer unless it is `quiet`, away from event streams. It would read a copy of each to
 * its end: a stream that its client has left would stay open, and one that breaks would be an unhandled rejection.
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

/** Has no groups: msw decodes what groups match, and fails where that cannot be decoded. */
function everyPathOf(origin: string): RegExp {
  return new RegExp(`^${origin.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}/`);
}
