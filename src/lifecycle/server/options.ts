import { homedir } from 'node:os';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import {
  aBoolean,
  aLogger,
  aNumber,
  anObject,
  aSignal,
  aString,
  assertOptions,
  positiveMs,
  shown,
  someStrings,
  type OptionChecks,
} from '../../core/checks.js';
import { acceptedVersionChecks, parseAcceptedVersions } from '../../core/accepted-versions.js';
import type { Logger } from '../../core/logger.js';
import type { AcceptedVersions } from '../../core/version.js';
import { isLoopback, loopbackExemption } from './launch/loopback.js';
import { parseHealthPolicy, type HealthPolicy } from './health.js';
import {
  assertServerUser,
  parseServerUser,
  userVariables,
  type ParsedServerUser,
  type ServerUser,
} from './launch/server-user.js';
import { parseRestartPolicy, type RestartPolicy } from './restart-budget.js';

/** How to start the server. */
export interface ServerOptions extends AcceptedVersions {
  /**
   * The executable, by path or by name on PATH.
   *
   * @default the variable `OPENCODE_BIN`; else the package `opencode-ai` of the project, found from `process.cwd()`, the running script and
   * this library; else `opencode` on PATH, in `~/.opencode/bin` and where package managers put commands
   */
  readonly command?: string | undefined;
  /**
   * A command that starts the server: it stands before the executable and its arguments, for `--version` too. For a sandbox or a limit, e.g.
   * `['bwrap', '--ro-bind', '/', '/', …]`. The program is found by path or on PATH. It must stay until the server has ended, run as a
   * user whose processes this one may end, and pass the environment on; the start fails when the server does not get the password or what
   * other options set. What the server starts is found and ended behind it too, also in another pid namespace. Not for containers of a
   * daemon, which does not end them with this process.
   *
   * @default none
   */
  readonly wrap?: readonly string[] | undefined;
  /**
   * The user that the server, its tools and its plugins run as; needs `dataDir`, and a process that may change the user, as root may. Not on
   * Windows. `dataDir` and the home directory are made for that user (mode 0700); one that is there must be of that user, or empty. Sets
   * `HOME`, `USER`, `LOGNAME` and `TMPDIR` (`tmp` in `dataDir`), and the `cwd` is the home directory unless you name one. Other variables
   * of `process.env` are passed on, also those with secrets: remove them with `env`. The groups of this process are not passed on.
   *
   * Git reads the repositories of that user only. `forRepo` refuses others with the `RepoPathError` reason `owner`, until
   * `safe.directory` names them, e.g. by `env`.
   *
   * @default the user of this process
   */
  readonly user?: ServerUser | undefined;
  /** More arguments for `opencode serve`, e.g. `['--print-logs']`; not those that have an option here. */
  readonly args?: readonly string[] | undefined;
  /** Working directory of the server. @default process.cwd(), or with `user` its home directory */
  readonly cwd?: string | undefined;
  /**
   * Merged over `process.env`; `undefined` removes a variable. `dataDir`, `config` and `trustProjectConfig` win over it. Where it has a
   * proxy (`HTTP_PROXY`, `ALL_PROXY`), loopback addresses are added to `NO_PROXY`.
   */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /**
   * A directory of the server's own for everything it stores: sessions, credentials, user configuration, caches. It is made, for this
   * user only (mode 0700), when it is missing. OpenCode allows two servers on one directory, but they do not know of each other's turns.
   * Keep it out of the repositories: `forRepo` refuses one whose snapshots would take it in. First starts at once on one directory follow
   * one another.
   *
   * @default the user's own XDG directories, with the credentials and the configuration that are there
   */
  readonly dataDir?: string | undefined;
  /** OpenCode configuration that wins over every file, sent inline (`OPENCODE_CONFIG_CONTENT`). */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Whether the configuration inside repositories is used, as OpenCode does by default. It can start programs: MCP
   * servers, plugins, custom tools. `false` is for repositories you do not trust: their `opencode.json`, `.opencode/` and
   * instruction files (`AGENTS.md`) are then ignored (`OPENCODE_DISABLE_PROJECT_CONFIG`). OpenCode 1.18.33 imports their plugins
   * all the same, so `forRepo` refuses a repository that has one, with a `RepoPathError`; one that comes into it later is not
   * seen. Skills (`.claude/skills`, `.agents/skills`: text, no programs) are still offered to the model, what other files say reaches it too,
   * and what it may do is up to the permissions: this is no sandbox.
   *
   * @default true
   */
  readonly trustProjectConfig?: boolean | undefined;
  /** Address to listen on. Any but a loopback address needs a `password` of yours. @default '127.0.0.1' */
  readonly hostname?: string | undefined;
  /** Port to listen on; 0 lets the server choose (4096 if it is free). A taken port is an error. @default 0 */
  readonly port?: number | undefined;
  /**
   * Origins whose web pages may call the server, e.g. `['https://app.example.com']`, besides those OpenCode always allows
   * (pages on localhost, its own application).
   *
   * @default none
   */
  readonly cors?: readonly string[] | undefined;
  /** The server's password, for Basic authentication. @default a random one per start and restart */
  readonly password?: string | undefined;
  /**
   * How a server that hangs is noticed: it is probed for its health whenever it shows no other activity (an answer, an
   * event). The first failure makes its state `unhealthy`, and after `failures` in a row it is killed and restarted. With the
   * defaults that is after about a minute of silence. `false` sends no probes; with `restart: false` a server that hangs is only reported.
   */
  readonly health?: HealthPolicy | false | undefined;
  /**
   * How a server that ended by itself, or hung, is started again: after a growing, jittered wait, until there were
   * `maxAttempts` within `windowMs`. Then its state is `failed`. `false` for never.
   */
  readonly restart?: RestartPolicy | false | undefined;
  /**
   * The resident memory in bytes of the server and all below it above which it is restarted, as soon as nothing holds an instance: no turn,
   * request, terminal, lease. Looked at every 30 s; the next such restart comes after ten minutes. OpenCode 1.18.33 gives memory back only
   * when it ends; it needs 300 MB, and some 450 MB more after its first prompt. Linux only.
   *
   * @default no limit
   */
  readonly recycleRssBytes?: number | undefined;
  /**
   * Whether this process may end while the server runs: it ends when nothing else keeps it alive, and the server with it. Calls, turns and
   * open terminals keep it alive; subscriptions and leases do not. For command line programs; where `close()` is called, its end
   * is awaited as always. With a `fetch` of your own, its connection of the event stream keeps the process alive.
   *
   * @default false
   */
  readonly unref?: boolean | undefined;
  /** Milliseconds until the server must be ready, with its version check; also after a restart. @default 60_000 */
  readonly startTimeoutMs?: number | undefined;
  /** Aborts the start; it then rejects with the signal's own reason, with nothing left running. */
  readonly signal?: AbortSignal | undefined;
  /** Gets log lines about the start, the end and the output of the server. @default silence, or stderr where `NODE_DEBUG` names `jarvis-opencode` */
  readonly logger?: Logger | undefined;
}

const DEFAULT_HOSTNAME = '127.0.0.1';

/** A slow laptop with a cold disk takes 10 s and more for its first start. */
const DEFAULT_START_TIMEOUT_MS = 60_000;

/** The arguments that have an option: OpenCode does not start when one of them is given twice. */
const RESERVED_ARGS = new Map([
  ['--hostname', 'hostname'],
  ['--port', 'port'],
  ['--cors', 'cors'],
]);

/** {@link ServerOptions}, checked and complete. */
export interface ServerPlan {
  readonly command: string | undefined;
  /** The versions that are taken. */
  readonly accepted: AcceptedVersions;
  /** The command prefix. */
  readonly wrap: readonly string[];
  /** The user to run as; `undefined` for that of this process. */
  readonly user: ParsedServerUser | undefined;
  /** The variables that the options set: a server without them would not be the one that was asked for. */
  readonly ownVariables: readonly string[];
  /** The arguments, `serve` first. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Directories to make before the start. */
  readonly directories: readonly string[];
  /** Where OpenCode keeps its database and snapshots. */
  readonly dataDirectory: string;
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  /** Whether the password was made for one start. */
  readonly isPasswordRandom: boolean;
  readonly startTimeoutMs: number;
  /** Whether a server that is ready does not keep this process alive. */
  readonly isUnref: boolean;
}

const USERNAME = 'opencode';

/** The check of each option by itself; what depends on others is checked where they are filled in. */
export const serverOptionChecks: OptionChecks<ServerOptions> = {
  command: aString,
  wrap: (name, value) => {
    someStrings(name, value);
    const [program] = value as readonly string[];
    const hasNul = (value as readonly string[]).some((each) => each.includes('\0'));
    if (program !== '' && !hasNul) return;
    throw new TypeError(`Expected ${name} to be a program and its arguments, without NUL.`);
  },
  user: assertServerUser,
  args: (name, value) => {
    someStrings(name, value);
    assertNoReserved(value as readonly string[]);
  },
  cwd: aText,
  env: (name, value) => {
    anObject(name, value);
    for (const [variable, text] of Object.entries(value as object)) {
      if (text === undefined || typeof text === 'string') continue;
      throw new TypeError(`Expected env.${variable} to be a string or undefined, got ${typeof text}.`);
    }
  },
  dataDir: aText,
  config: anObject,
  trustProjectConfig: aBoolean,
  hostname: aText,
  port: aNumber(
    'an integer from 0 to 65535',
    (value) => Number.isInteger(value) && value >= 0 && value <= 65_535,
  ),
  cors: someOrigins,
  password: (_name, value) => {
    if (typeof value === 'string' && value !== '' && !value.includes('\0')) return;
    throw new TypeError('Expected password to be a non-empty string; leave it out for a random one.');
  },
  health: (_name, value) => void parseHealthPolicy(value as HealthPolicy | false),
  restart: (_name, value) => void parseRestartPolicy(value as RestartPolicy | false),
  recycleRssBytes: aNumber('a positive number of bytes', (bytes) => Number.isFinite(bytes) && bytes > 0),
  unref: aBoolean,
  startTimeoutMs: positiveMs,
  signal: aSignal,
  logger: aLogger,
  ...acceptedVersionChecks,
};

/**
 * Checks the options and fills in their defaults.
 *
 * @throws {TypeError} {@link RangeError} for an invalid one.
 */
export function parseServerOptions(options: ServerOptions): ServerPlan {
  assertOptions('the server', serverOptionChecks, options);
  const {
    startTimeoutMs = DEFAULT_START_TIMEOUT_MS,
    hostname = DEFAULT_HOSTNAME,
    port = 0,
    cors = [],
    args = [],
  } = options;
  const password = options.password ?? passwordFor(hostname);
  const dataDirectories = directoriesIn(options.dataDir);
  const user = parseServerUser(options.user, options.dataDir);
  const ofUser = user === undefined ? {} : { ...userVariables(user), ...temporaryDirectory(options.env) };
  const ofOptions = { ...dataDirectories, ...optionVariables(options, password) };
  const env = serverEnv(options, { ...ofUser, ...ofOptions });
  return {
    command: options.command,
    accepted: parseAcceptedVersions(options),
    wrap: options.wrap ?? [],
    user,
    ownVariables: Object.keys(ofOptions),
    args: [
      'serve',
      ...['--hostname', hostname, '--port', String(port)],
      ...cors.flatMap((origin) => ['--cors', origin]),
      ...args,
    ],
    cwd: options.cwd ?? user?.home ?? process.cwd(),
    env,
    dataDirectory: resolve(
      env.XDG_DATA_HOME ?? resolve(env.HOME ?? homedir(), '.local', 'share'),
      'opencode',
    ),
    directories: [
      ...Object.values(dataDirectories),
      ...(user === undefined ? [] : [env.TMPDIR ?? user.home]),
    ],
    hostname,
    port,
    username: USERNAME,
    password,
    isPasswordRandom: options.password === undefined,
    startTimeoutMs,
    isUnref: options.unref === true,
  };
}

/**
 * The plan for a binary of OpenCode 2. It takes the password from another variable before that of OpenCode 1, and with `--stdio` ends
 * when its standard input does (OpenCode 2.0.14).
 */
export function planForOpenCode2(plan: ServerPlan): ServerPlan {
  const [serve = 'serve', ...args] = plan.args;
  return {
    ...plan,
    args: [serve, '--stdio', ...args],
    env: { ...plan.env, OPENCODE_PASSWORD: plan.password },
    ownVariables: [...plan.ownVariables, 'OPENCODE_PASSWORD'],
  };
}

/** The plan of the next start: the same but for a random password, which is a new one each time. */
export function nextPlan(plan: ServerPlan): ServerPlan {
  if (!plan.isPasswordRandom) return plan;
  const password = randomPassword();
  return { ...plan, password, env: { ...plan.env, OPENCODE_SERVER_PASSWORD: password } };
}

function aText(name: string, value: unknown): void {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw new TypeError(`Expected ${name} to be a non-empty string, got ${JSON.stringify(value)}.`);
  }
}

/** Who reaches the server can run commands as this user, so a random password is for loopback addresses only. */
function passwordFor(hostname: string): string {
  if (isLoopback(hostname)) return randomPassword();
  throw new TypeError(
    `Expected password to be given for the hostname ${JSON.stringify(hostname)}, which other machines may reach.`,
  );
}

function randomPassword(): string {
  return randomBytes(32).toString('base64url');
}

function assertNoReserved(args: readonly string[]): void {
  for (const arg of args) {
    const option = RESERVED_ARGS.get(arg.split('=', 1)[0] ?? '');
    if (option !== undefined) {
      throw new TypeError(`Expected args to be without ${arg}, got it: use the option ${option}.`);
    }
  }
}

function someOrigins(name: string, cors: unknown): void {
  const isOrigin = (origin: unknown): origin is string =>
    typeof origin === 'string' && /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*]+$/i.test(origin);
  if (!Array.isArray(cors)) {
    throw new TypeError(`Expected ${name} to be an array of origins, got ${shown(cors)}.`);
  }
  for (const origin of cors as readonly unknown[]) {
    if (isOrigin(origin)) continue;
    throw new TypeError(
      `Expected ${name} to be origins such as https://app.example.com, got ${JSON.stringify(origin)}.`,
    );
  }
}

function directoriesIn(dataDir: string | undefined): Readonly<Record<string, string>> {
  if (dataDir === undefined) return {};
  const root = resolve(dataDir);
  return {
    XDG_DATA_HOME: resolve(root, 'data'),
    XDG_CONFIG_HOME: resolve(root, 'config'),
    XDG_STATE_HOME: resolve(root, 'state'),
    XDG_CACHE_HOME: resolve(root, 'cache'),
  };
}

/** The variables that options of their own set. */
function optionVariables(options: ServerOptions, password: string): Record<string, string> {
  const { config, trustProjectConfig = true } = options;
  return {
    ...(config !== undefined && { OPENCODE_CONFIG_CONTENT: JSON.stringify(config) }),
    ...(!trustProjectConfig && { OPENCODE_DISABLE_PROJECT_CONFIG: '1' }),
    OPENCODE_SERVER_PASSWORD: password,
    OPENCODE_SERVER_USERNAME: USERNAME,
  };
}

/** The temporary directory that the caller names. */
function temporaryDirectory(env: ServerOptions['env']): { readonly TMPDIR?: string } {
  return env?.['TMPDIR'] === undefined ? {} : { TMPDIR: env['TMPDIR'] };
}

function serverEnv(options: ServerOptions, set: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(options.env ?? {})) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  Object.assign(env, set);
  // What runs in the server talks to it, and to MCP servers of this machine.
  Object.assign(env, loopbackExemption(env, options.hostname ?? DEFAULT_HOSTNAME));
  return env;
}
