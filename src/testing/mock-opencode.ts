import { http, type HttpHandler } from 'msw';
import type { SessionInfo } from '../client/schema/session.js';
import { Credentials } from './credentials.js';
import type { MockInstance } from './instances.js';
import { unauthorized } from './replies.js';
import { Router, type MockRequest } from './router.js';
import type { MockScript } from './script.js';
import { ScriptedServer } from './scripted-server.js';
import { serverRoutes } from './server-routes.js';
import { sessionRoutes } from './session-routes.js';
import { text } from './steps.js';

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
}

/** An OpenCode server in memory, and what a test may tell it and ask it. */
export interface MockOpenCode extends Disposable {
  /** Its origin. */
  readonly url: string;
  /** For `setupServer(...mock.handlers)` or `setupWorker(...mock.handlers)`. */
  readonly handlers: readonly HttpHandler[];
  /** For `JarvisOpenCode.connect(mock.connectOptions)`. */
  readonly connectOptions: { readonly url: string; readonly username?: string; readonly password?: string };
  /** Lets the model answer every prompt from now on with this text. */
  reply(answer: string): void;
  /** Lets the model answer every prompt from now on as the script says. */
  script(script: MockScript): void;
  /** What was asked so far, oldest first. */
  requests(): MockRequest[];
  /** The directories that were used so far, with what became of their instances. */
  instances(): MockInstance[];
  /** The sessions that exist, oldest first. */
  sessions(): SessionInfo[];
  /** Ends it like a server that is gone: event streams break, turns end, requests get no answer. Idempotent. */
  close(): void;
}

let made = 0;

/**
 * Makes an OpenCode server in memory that behaves like a real one, without a port, a key or a model.
 *
 * @throws {TypeError} for a `url` that is no http URL.
 *
 * @example
 * ```ts
 * const mock = mockOpenCode();
 * const server = setupServer(...mock.handlers);
 * server.listen({ onUnhandledRequest: 'error' });
 * mock.reply('It is a calculator.');
 * const jarvis = await JarvisOpenCode.connect(mock.connectOptions);
 * const session = await jarvis.forRepo('/home/me/app').sessions.create();
 * const { text } = await session.prompt('What does this project do?');
 * ```
 */
export function mockOpenCode(options: MockOpenCodeOptions = {}): MockOpenCode {
  const { username, password, version = '1.18.33', cwd = '/' } = options;
  made += 1;
  const url = originOf(options.url ?? `http://opencode-${made}.invalid`);
  const server = new ScriptedServer({
    version,
    cwd,
    projectOf: options.projectOf ?? ((directory) => `project of ${directory}`),
    script: () => [text('ok')],
  });
  const credentials = new Credentials(username ?? 'opencode', password);
  const router = new Router(server, [...serverRoutes, ...sessionRoutes]);
  const requests: MockRequest[] = [];
  let isClosed = false;

  async function answer(request: Request): Promise<Response> {
    if (isClosed) return Response.error();
    if (!credentials.accepts(request)) return unauthorized();
    return router.answer(request, (record) => requests.push(record));
  }

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    server.close();
  }

  return {
    url,
    // One for everything: the routes go by the path as it was sent, which msw's own patterns do not show.
    handlers: [http.all(everyPathOf(url), ({ request }) => answer(request))],
    connectOptions: {
      url,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    },
    reply(reply) {
      server.script = () => [text(reply)];
    },
    script(script) {
      server.script = script;
    },
    requests: () => structuredClone(requests),
    instances: () => server.instances.list(),
    sessions: () => structuredClone(server.sessions.all()),
    close,
    [Symbol.dispose]: close,
  };
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

/** Without a group in it msw has nothing to decode, and so nothing that it could fail to. */
function everyPathOf(origin: string): RegExp {
  return new RegExp(`^${origin.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}/`);
}
