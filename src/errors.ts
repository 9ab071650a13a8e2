import { excerptOf } from './core/excerpt.js';
import type { Hold } from './core/instance.js';
import type { ServerErrorInfo } from './core/server-error.js';

/** The `code` of every error this library makes; stable across releases, for `switch` and for logs. */
export type JarvisErrorCode =
  | 'REQUEST_FAILED'
  | 'CONNECTION_FAILED'
  | 'TIMEOUT'
  | 'RESPONSE_SHAPE'
  | 'RESPONSE_TOO_LARGE'
  | 'REPO_PATH'
  | 'REPO_PLACED'
  | 'REPO_BOUND'
  | 'FILE_PATH'
  | 'SESSION_DIRECTORY'
  | 'SESSION_NOT_BOUND'
  | 'SESSION_ALREADY_BOUND'
  | 'TURN_FAILED'
  | 'REMOTE_TURN_FAILED'
  | 'REVERT_FAILED'
  | 'DISPOSE_REFUSED'
  | 'USE_DEADLOCK'
  | 'OPERATION_REFUSED'
  | 'SERVER_START'
  | 'SERVER_LOST'
  | 'UNSUPPORTED_SERVER'
  | 'UNSUPPORTED_OPERATION'
  | 'CLOSED';

/**
 * Marks the errors of every copy of this library in a process. The prototype of `JarvisError` carries it, so subclasses
 * have it too.
 */
const BRAND = Symbol.for('jarvis-opencode:error');

/**
 * Base class of every error this library makes.
 *
 * `instanceof` recognises the errors of other copies of the library in this process: a development server may evaluate it
 * twice, and two packages may bring one each. This class recognises all of them, every other one those with its `code`. A
 * subclass of your own is as strict as any class.
 *
 * Two things are never wrapped in it: an argument mistake (`TypeError` or `RangeError`, thrown at the call) and the
 * caller's own abort reason, which passes through untouched.
 */
export abstract class JarvisError extends Error {
  abstract override readonly name: string;
  abstract readonly code: JarvisErrorCode;

  static {
    Object.defineProperty(this.prototype, BRAND, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, value);
  }

  /**
   * Whether the same call may succeed when it is made again, without a change of anything: a lost connection or server, a time limit,
   * a status of 408, 425, 429 or 5xx, holds that end, locked snapshots, and the turns that say so by their `reason`; for reason
   * `provider` what the server says of its provider. The call that failed may have had an effect.
   */
  get isRetryable(): boolean {
    return isRetryable(this);
  }

  /** After how many milliseconds to try again, where the server or the model's provider says so. */
  get retryAfterMs(): number | undefined {
    return undefined;
  }

  /**
   * Its name, code, message and fields for a log, as JSON of bounded size: of what a server sent, which may be large or deep,
   * an excerpt.
   */
  toJSON(): Record<string, unknown> {
    const { name, code, message } = this;
    return excerptOf({ ...this, name, code, message }) as Record<string, unknown>;
  }
}

/** Where a request went; part of every error that concerns one. */
export interface RequestTarget {
  /** HTTP method in upper case. */
  readonly method: string;
  /** Path on the server, without origin and query. */
  readonly path: string;
}

/** What the server answered when it refused a request. */
export interface RequestErrorInit extends RequestTarget {
  /** HTTP status code. 200 when the server answered an unknown path with its web page. */
  readonly status: number;
  /** The parsed JSON body, or the text of any other body, cut to a bounded size; `undefined` when it was empty. */
  readonly body?: unknown;
  /** What the header `Retry-After` asks for. */
  readonly retryAfterMs?: number | undefined;
  /** The line of the configuration file that `body` complains of, counted from 1, where that is known. */
  readonly line?: number | undefined;
  /** What the caller of the route can do, where the status and `body` do not say it. */
  readonly advice?: string | undefined;
}

/** In UTF-16 code units; the names of OpenCode 1.18.33 have 30 at most. */
const MAX_ERROR_NAME = 100;

/** A body's own name for the error: `name` of `{name,data}`, `_tag` of `{_tag,…}`. */
function errorNameOf(body: unknown): string | undefined {
  if (!isRecord(body)) return undefined;
  const { name, _tag } = body;
  const found = typeof _tag === 'string' ? _tag : typeof name === 'string' ? name : undefined;
  return found?.slice(0, MAX_ERROR_NAME);
}

/** What a body says in words: its first line only, because the server appends its own stack to some. */
function errorMessageOf(body: unknown): string | undefined {
  const text = typeof body === 'string' ? body : messageFieldOf(body);
  return text?.trim().split('\n', 1)[0]?.slice(0, 200) || undefined;
}

function messageFieldOf(body: unknown): string | undefined {
  if (!isRecord(body)) return undefined;
  const { message, error, data } = body;
  if (typeof message === 'string') return message;
  if (typeof error === 'string') return error;
  return isRecord(data) && typeof data.message === 'string' ? data.message : undefined;
}

function isConfigError(serverError: string | undefined): boolean {
  return serverError === 'ConfigInvalidError' || serverError === 'ConfigJsonError';
}

/** File, line and reason of a configuration error. OpenCode 1.18.33 tells the line of a syntax error only. */
function configProblemOf({ body, line }: RequestErrorInit): string | undefined {
  const data = isRecord(body) ? body.data : undefined;
  if (!isRecord(data)) return errorMessageOf(body);
  const { path, message, issues } = data;
  const file = typeof path === 'string' ? JSON.stringify(path) : 'a configuration file';
  const text = typeof message === 'string' ? message : '';
  const syntax = /^(\w+) at line (\d+), column (\d+)$/m.exec(text);
  if (syntax !== null) return `${file}, line ${syntax[2]}, column ${syntax[3]}: ${syntax[1]}`;
  const reasons = Array.isArray(issues) ? issues.filter(isRecord).slice(0, 3).map(issueText) : [text.trim()];
  const where = line === undefined ? file : `${file}, line ${line}`;
  const reason = reasons
    .filter(Boolean)
    .join('; ')
    .replace(/\s*\n\s*/g, ' ')
    .slice(0, 400);
  return reason === '' ? where : `${where}: ${reason}`;
}

function issueText({ path, message }: Record<string, unknown>): string {
  const key = Array.isArray(path) ? path.join('.') : '';
  return [key, typeof message === 'string' ? message : ''].filter(Boolean).join(': ');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

const REDIRECT_ADVICE =
  'Redirects are not followed, so that nobody else gets the password. Connect to the address that the server itself listens on.';

function adviceFor({ status, advice }: RequestErrorInit, serverError: string | undefined): string {
  if (status === 200) return 'The server does not know this path: is it an OpenCode 1.18 server?';
  if (status === 401) return 'Check the username and password of the server.';
  if (status >= 300 && status < 400) return REDIRECT_ADVICE;
  if (isConfigError(serverError)) {
    return 'Repair the configuration file it names, then call server.restart(): the server reads it again only after a restart.';
  }
  return advice ?? '';
}

/** The server answered, and refused. */
export class RequestError extends JarvisError {
  override readonly name = 'RequestError';
  override readonly code = 'REQUEST_FAILED';
  readonly status: number;
  readonly method: string;
  readonly path: string;
  /** The parsed JSON body, or the text of any other body; `undefined` when it was empty (a 401 has none). */
  readonly body: unknown;
  /** The server's own name for the error (`name` or `_tag` of the body), e.g. `NotFoundError`. */
  readonly serverError: string | undefined;
  /** `data` of the body, e.g. `{ message }`; `undefined` when it has none. */
  readonly data: unknown;
  /** Under which reference the server's own log has the cause of a 500, `err_...`. */
  readonly ref: string | undefined;
  readonly #retryAfterMs: number | undefined;

  constructor(init: RequestErrorInit, options?: ErrorOptions) {
    const serverError = errorNameOf(init.body);
    const text = isConfigError(serverError) ? configProblemOf(init) : errorMessageOf(init.body);
    const detail = [serverError, text].filter(Boolean).join(': ');
    const head = `${init.method} ${init.path} failed with status ${init.status}`;
    super(
      [head + (detail && ` (${detail})`) + '.', adviceFor(init, serverError)].filter(Boolean).join(' '),
      options,
    );
    this.status = init.status;
    this.method = init.method;
    this.path = init.path;
    this.body = init.body;
    this.serverError = serverError;
    this.data = isRecord(init.body) ? init.body.data : undefined;
    this.ref = isRecord(this.data) && typeof this.data.ref === 'string' ? this.data.ref : undefined;
    this.#retryAfterMs = init.retryAfterMs;
  }

  override get retryAfterMs(): number | undefined {
    return this.#retryAfterMs;
  }
}

/**
 * Where fetch does not tell why it failed: on a page or in a worker of a browser. What plays a page in Node (jsdom) uses
 * the fetch of Node, which does.
 */
function isBrowser(): boolean {
  const { location, process } = globalThis as {
    readonly location?: unknown;
    readonly process?: { readonly versions?: { readonly node?: string } };
  };
  return location !== undefined && process?.versions?.node === undefined;
}

const BROWSER_ADVICE =
  ' A browser does not tell when it blocked the request itself. If its console says so: CORS, start the server with this ' +
  "page's origin in `cors`; CSP, add the server to `connect-src`; mixed content, call it by https from an https page.";

/**
 * The request did not get an answer: refused, reset, cut in the middle, or blocked by the browser. `cause` is the transport's
 * own error.
 */
export class ConnectionError extends JarvisError {
  override readonly name = 'ConnectionError';
  override readonly code = 'CONNECTION_FAILED';
  readonly method: string;
  readonly path: string;
  /** Whether it was redirected in a browser, which hides the status. Elsewhere a redirect is a {@link RequestError}. */
  readonly isRedirect: boolean;

  constructor(target: RequestTarget, options: ErrorOptions & { readonly isRedirect?: boolean } = {}) {
    const { isRedirect = false } = options;
    const what = `${target.method} ${target.path}`;
    super(
      isRedirect
        ? `${what} was redirected by the server. ${REDIRECT_ADVICE}`
        : `${what} got no answer${causeText(options)}. Is the server still running at this address?` +
            (isBrowser() ? BROWSER_ADVICE : ''),
      options,
    );
    this.method = target.method;
    this.path = target.path;
    this.isRedirect = isRedirect;
  }
}

/**
 * What took too long: waiting until a prompt is sent (`queue`), loading an instance (`boot`), one request or turn (`request`), the
 * event stream's first frame, a disposal, a policy's decision, the function of a `use()`, or waiting for one of `maxServers` of a fleet (`server`).
 */
export type TimeoutPhase = 'queue' | 'boot' | 'request' | 'events' | 'dispose' | 'ask' | 'use' | 'server';

const TIMEOUT_ADVICE: Partial<Record<TimeoutPhase, string>> = {
  queue: 'Nothing was sent. Raise queueTimeoutMs if it may wait that long.',
  boot:
    'The first load of a repository with plugins installs packages and runs the plugins. Raise bootTimeoutMs if that may take ' +
    'longer.',
  server: 'Raise maxServers, or maxServersWaitMs if it may wait that long.',
};
const OTHER_TIMEOUT_ADVICE = 'Raise timeoutMs if the work may take that long.';

/**
 * A time limit of this library ran out. The server may still be at work on what it was asked, except in the phases `queue` and
 * `server`: nothing was sent then.
 */
export class TimeoutError extends JarvisError {
  override readonly name = 'TimeoutError';
  override readonly code = 'TIMEOUT';
  readonly phase: TimeoutPhase;
  readonly timeoutMs: number;

  constructor(
    what: string,
    init: { readonly phase: TimeoutPhase; readonly timeoutMs: number },
    options?: ErrorOptions,
  ) {
    const advice = TIMEOUT_ADVICE[init.phase] ?? OTHER_TIMEOUT_ADVICE;
    super(`${what} took longer than ${init.timeoutMs} ms. ${advice}`, options);
    this.phase = init.phase;
    this.timeoutMs = init.timeoutMs;
  }
}

/** One thing that was wrong with a response: where, and what. */
export interface ShapeIssue {
  readonly path: string;
  readonly message: string;
}

/** As much of the path and the text of one issue as is kept, in UTF-16 code units. */
const MAX_ISSUE = 200;
const MAX_ISSUES = 10;

/** What is kept of issues: names of fields are the server's own, of any length. */
function boundIssues(issues: readonly ShapeIssue[]): ShapeIssue[] {
  return issues.slice(0, MAX_ISSUES).map(({ path, message }) => ({
    path: path.slice(0, MAX_ISSUE),
    message: message.slice(0, MAX_ISSUE),
  }));
}

function issuesText(issues: readonly ShapeIssue[]): string {
  return issues
    .slice(0, 3)
    .map(({ path, message }) => (path ? `${path}: ${message}` : message))
    .join('; ');
}

/** The server answered with success, but not with what this operation returns. */
export class ResponseShapeError extends JarvisError {
  override readonly name = 'ResponseShapeError';
  override readonly code = 'RESPONSE_SHAPE';
  readonly method: string;
  readonly path: string;
  /** The first issues, at most ten. */
  readonly issues: readonly ShapeIssue[];

  constructor(target: RequestTarget, issues: readonly ShapeIssue[], options?: ErrorOptions) {
    const kept = boundIssues(issues);
    super(
      `${target.method} ${target.path} answered with an unexpected shape (${issuesText(kept)}). ` +
        'Is the server a supported OpenCode version?',
      options,
    );
    this.method = target.method;
    this.path = target.path;
    this.issues = kept;
  }
}

/** An answer or an event of the server is longer than this library takes; the connection was closed. */
export class ResponseTooLargeError extends JarvisError {
  override readonly name = 'ResponseTooLargeError';
  override readonly code = 'RESPONSE_TOO_LARGE';
  readonly method: string;
  readonly path: string;
  /** How much would have been taken, in bytes after decompression. */
  readonly maxBytes: number;

  constructor(
    target: RequestTarget,
    maxBytes: number,
    options?: ErrorOptions & {
      /** It was one event of a stream. @default false */
      readonly isEvent?: boolean;
    },
  ) {
    const what = options?.isEvent === true ? 'sent an event of' : 'answered with';
    const help =
      options?.isEvent === true ? 'Raise maxEventBytes' : 'Ask for less, or raise maxResponseBytes';
    super(
      `${target.method} ${target.path} ${what} more than ${maxBytes} bytes. ${help} if you trust the server.`,
      options,
    );
    this.method = target.method;
    this.path = target.path;
    this.maxBytes = maxBytes;
  }
}

/** Why a path cannot be a repository. */
export type RepoPathReason =
  | 'not-absolute'
  | 'not-found'
  | 'not-a-directory'
  | 'unreadable'
  | 'invalid'
  | 'plugins'
  | 'replaced'
  /** There is a backslash in a path that is not one of Windows: OpenCode 1.18.33 fails every prompt there. */
  | 'backslash'
  /** A request that names it would be longer than the server takes: at most 15,000 characters, percent-encoded. */
  | 'too-long'
  /** The `dataDir` of the server is inside, and git does not ignore it: snapshots would take in themselves. */
  | 'data-directory'
  /** It is a git repository of another user than the server's, and `safe.directory` does not name it. */
  | 'owner';

const REPO_PATH_TEXT: Record<RepoPathReason, string> = {
  'not-absolute': 'is not absolute. Pass an absolute path, e.g. path.resolve(directory)',
  'not-found': 'does not exist. Check the spelling, or create it first',
  'not-a-directory': 'is not a directory. Pass the directory that contains it',
  unreadable: 'cannot be read. Check its permissions',
  invalid: 'is not a valid path. It must be well-formed text without NUL',
  backslash:
    'has a backslash in it. OpenCode 1.18 fails every prompt in such a directory. Rename it, or use one without',
  'too-long':
    'is too long. A request that names it has more than the 16 KiB that OpenCode reads. Move it to a shorter path',
  'data-directory':
    'contains the dataDir of the server. Its snapshots would take in themselves and grow until the disk is full. Move ' +
    'dataDir out of the repository, let git ignore it, or set snapshot to false in the config',
  owner:
    'belongs to another user than the server runs as. Git does not read it, so OpenCode would work without snapshots, ' +
    'diffs and a project of its own. Change its owner, or trust it by `git config --global --add safe.directory <path>` or ' +
    'by the option env: { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "safe.directory", GIT_CONFIG_VALUE_0: "<path>" }',
  replaced: 'is a link to another directory by now. Use forRepo again',
  plugins:
    'brings OpenCode plugins of its own, which would run although trustProjectConfig is false. Remove them, or trust it',
};

/** The path given to `forRepo` cannot be a repository; thrown before anything is sent. */
export class RepoPathError extends JarvisError {
  override readonly name = 'RepoPathError';
  override readonly code = 'REPO_PATH';
  readonly path: string;
  readonly reason: RepoPathReason;

  constructor(path: string, reason: RepoPathReason, options?: ErrorOptions) {
    super(`Repository path ${JSON.stringify(path)} ${REPO_PATH_TEXT[reason]}.`, options);
    this.path = path;
    this.reason = reason;
  }
}

/** Why a path cannot be a part of a prompt. */
export type FilePathReason =
  | 'not-absolute'
  | 'not-found'
  /** It is a device, a socket or a pipe. */
  | 'not-a-file'
  | 'unreadable'
  | 'invalid'
  /** A relative path that leads out of the repository, by `..` or by a link. */
  | 'outside'
  /** It is no text, and of no type that models read. */
  | 'binary'
  /** Lines were asked for of something that is no text. */
  | 'no-lines';

const FILE_PATH_TEXT: Record<FilePathReason, string> = {
  'not-absolute': 'is not absolute. Pass an absolute path, or the option repo that it is relative to',
  'not-found': 'does not exist. Check the spelling',
  'not-a-file': 'is neither a file nor a directory. Pass one of them',
  unreadable: 'cannot be read. Check its permissions',
  invalid: 'is not a valid path. It must be well-formed text without NUL, and not empty',
  outside: 'leads out of the repository. Pass an absolute path if that is meant',
  binary: 'is neither text nor of a type that models read. Give the option mime if your model takes it',
  'no-lines': 'is no text, and has no lines. Leave out the option lines',
};

/** The path given to `filePart()` cannot be a part of a prompt. */
export class FilePathError extends JarvisError {
  override readonly name = 'FilePathError';
  override readonly code = 'FILE_PATH';
  readonly path: string;
  readonly reason: FilePathReason;

  constructor(path: string, reason: FilePathReason, options?: ErrorOptions) {
    super(`File path ${JSON.stringify(path)} ${FILE_PATH_TEXT[reason]}.`, options);
    this.path = path;
    this.reason = reason;
  }
}

/** The session belongs to another directory than the repository it was asked of. */
export class SessionDirectoryError extends JarvisError {
  override readonly name = 'SessionDirectoryError';
  override readonly code = 'SESSION_DIRECTORY';
  readonly sessionID: string;
  /** The repository that was asked. */
  readonly expected: string;
  /** The directory the session belongs to. */
  readonly found: string;

  constructor(init: { readonly sessionID: string; readonly expected: string; readonly found: string }) {
    super(
      `Session ${init.sessionID} belongs to ${JSON.stringify(init.found)}, not to ${JSON.stringify(init.expected)}. ` +
        'Use forRepo() with its own directory.',
    );
    this.sessionID = init.sessionID;
    this.expected = init.expected;
    this.found = init.found;
  }
}

/** No OpenCode session is bound to this jarvis session. */
export class SessionNotBoundError extends JarvisError {
  override readonly name = 'SessionNotBoundError';
  override readonly code = 'SESSION_NOT_BOUND';
  readonly jarvisSessionID: string;

  constructor(jarvisSessionID: string) {
    super(
      `Jarvis session ${JSON.stringify(jarvisSessionID)} is not bound to a session. ` +
        'Bind one with sessions.bind() or create it with { jarvisSessionID }.',
    );
    this.jarvisSessionID = jarvisSessionID;
  }
}

/** One side of the pair is already bound to something else; nothing was changed. */
export class SessionAlreadyBoundError extends JarvisError {
  override readonly name = 'SessionAlreadyBoundError';
  override readonly code = 'SESSION_ALREADY_BOUND';
  /** The binding that is in the way. */
  readonly jarvisSessionID: string;
  readonly sessionID: string;
  readonly directory: string;

  constructor(existing: {
    readonly jarvisSessionID: string;
    readonly sessionID: string;
    readonly directory: string;
  }) {
    super(
      `Jarvis session ${JSON.stringify(existing.jarvisSessionID)} is already bound to ${existing.sessionID} in ` +
        `${JSON.stringify(existing.directory)}. Call sessions.unbind() first.`,
    );
    this.jarvisSessionID = existing.jarvisSessionID;
    this.sessionID = existing.sessionID;
    this.directory = existing.directory;
  }
}

/**
 * A directory of this machine is used through another member of the fleet; nothing was sent. Also what a `RepoClient` or `Session` rejects
 * with whose repository went to another member by `fleet.place()`: ask the fleet for a new one.
 */
export class RepoPlacedError extends JarvisError {
  override readonly name = 'RepoPlacedError';
  override readonly code = 'REPO_PLACED';
  readonly directory: string;
  /** The member that has it. */
  readonly server: string;
  /** The member that was asked for. */
  readonly requested: string;

  constructor(
    init: { readonly directory: string; readonly server: string; readonly requested: string },
    options?: ErrorOptions,
  ) {
    const { directory, server, requested } = init;
    super(
      `The directory ${JSON.stringify(directory)}, or another working tree of its git repository, is used through the server ` +
        `${JSON.stringify(server)}, so not through ${JSON.stringify(requested)}: two servers must not work in one place. ` +
        'Leave out the option server, move it with fleet.place(), or use a copy of the directory.',
      options,
    );
    this.directory = directory;
    this.server = server;
    this.requested = requested;
  }
}

/**
 * Why a turn ended without an answer.
 *
 * - `aborted`: somebody aborted it (`turn.abort()`, `session.abort()`, or another client).
 * - `busy`: another client keeps the session at work, and `whenBusy` is `reject`; nothing was sent.
 * - `interrupted`: the instance was disposed or the server ended while it ran, or may have while the event stream was down.
 *   After the end of a server `cause` is a {@link ServerLostError}, and the answer it has begun stays in the session as it is:
 *   without `time.completed`.
 * - `unfinished`: the session is idle, its last answer has no end, and nobody said why. Nothing is known to have ended.
 * - `not-started`: the server accepted the prompt and never began to work on it.
 * - `stalled`: there was no progress for `stallTimeoutMs`, or the model was asked ten times in a row and gave nothing.
 * - `unreachable`: the server could not be asked for a minute; `cause` is the last {@link ConnectionError},
 *   {@link TimeoutError} or {@link RequestError} with a 5xx status. The turn may run on.
 * - `refused`: the server does not tell how the turn goes; `cause` is its {@link RequestError} with a status that asking again
 *   does not change (a 4xx but 408, 425 and 429), or a {@link ResponseShapeError}.
 * - `provider`: the model provider failed or refused.
 * - `summarized`: OpenCode took the prompt to make a summary that had failed before, and did not answer it.
 * - `format`: the prompt asked for an object by its `format`, and the model gave none, or one that the schema refuses.
 * - `failed`: the server reported another error, e.g. an agent or a model that does not exist.
 */
export type TurnErrorReason =
  | 'aborted'
  | 'busy'
  | 'interrupted'
  | 'unfinished'
  | 'not-started'
  | 'stalled'
  | 'unreachable'
  | 'refused'
  | 'provider'
  | 'summarized'
  | 'format'
  | 'failed';

const TURN_TEXT: Record<TurnErrorReason, string> = {
  aborted: 'was aborted',
  busy: "was not begun: another client keeps the session at work. Prompt again when it is idle, or set whenBusy to 'wait'",
  interrupted: 'was interrupted: its instance was disposed or the server ended. Prompt again to go on',
  unfinished: 'ended without an answer, and the server does not say why. Prompt again to go on',
  'not-started': 'was accepted by the server but never started. Prompt again',
  stalled: 'made no progress and was aborted',
  unreachable: 'could not be followed: the server was out of reach for a minute',
  refused: 'could not be followed: the server refuses to tell how it goes',
  provider: 'failed at the model provider',
  summarized: 'only made a summary that had failed before, and was not answered. Prompt again',
  format: 'gave no answer of the format that was asked for',
  failed: 'failed',
};

/** A turn ended without an answer. */
export class TurnError extends JarvisError {
  override readonly name = 'TurnError';
  override readonly code = 'TURN_FAILED';
  readonly reason: TurnErrorReason;
  readonly sessionID: string;
  /** Id of the user message of this turn. */
  readonly messageID: string;
  /** The server's own error, when it gave one; narrow it by `name`. */
  readonly serverError: ServerErrorInfo | undefined;
  /** What is wrong with the answer, for reason `format`: the first issues, at most ten. */
  readonly issues: readonly ShapeIssue[];
  readonly #retryAfterMs: number | undefined;

  constructor(
    init: {
      readonly reason: TurnErrorReason;
      readonly sessionID: string;
      readonly messageID: string;
      readonly serverError?: { readonly name: string; readonly data?: unknown } | undefined;
      /** What the caller can do about it, beyond what the reason says. */
      readonly advice?: string | undefined;
      /** What the server says of the turn, when that is no error. */
      readonly detail?: string | undefined;
      readonly issues?: readonly ShapeIssue[] | undefined;
    },
    options?: ErrorOptions,
  ) {
    const { serverError } = init;
    const issues = boundIssues(init.issues ?? []);
    const detail = serverError
      ? [errorNameOf(serverError), errorMessageOf(serverError)].filter(Boolean).join(': ')
      : (init.detail ?? issuesText(issues));
    super(
      [
        `Turn of session ${init.sessionID} ${TURN_TEXT[init.reason]}${detail ? ` (${detail})` : ''}`,
        ...(init.advice === undefined ? [] : [init.advice]),
        '',
      ]
        .join('. ')
        .trimEnd(),
      options,
    );
    this.reason = init.reason;
    this.sessionID = init.sessionID;
    this.messageID = init.messageID;
    this.serverError = init.serverError as ServerErrorInfo | undefined;
    this.issues = issues;
    this.#retryAfterMs = retryAfterOf(providerHeadersOf(init.serverError));
  }

  override get retryAfterMs(): number | undefined {
    return this.#retryAfterMs;
  }
}

/** An error for the client of an application, as RFC 9457 has it (`application/problem+json`). */
export interface Problem {
  /** Always `about:blank`: `code` says which error it is. */
  readonly type: 'about:blank';
  /** The phrase of the status. */
  readonly title: string;
  /** The HTTP status to answer with. */
  readonly status: number;
  /** What happened and what to do, for people. It may name paths of the server, and has no credentials. */
  readonly detail: string;
  /** The `code` of the error; absent for an error that is not of this library. */
  readonly code?: string;
  /** The `reason` of the error, where it has one, e.g. that of a `TurnError`. */
  readonly reason?: string;
  /** Whether the same call may succeed when it is made again; absent for an error that is not of this library. */
  readonly isRetryable?: boolean;
  /** After how many milliseconds, where that is known: the header `Retry-After` has it in seconds. */
  readonly retryAfterMs?: number;
}

/** A turn that {@link readTurn} follows ended without an answer. */
export class RemoteTurnError extends JarvisError {
  override readonly name = 'RemoteTurnError';
  override readonly code = 'REMOTE_TURN_FAILED';
  /** What the application's back end says of the error, as `toProblem()` makes it. */
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    const detail: unknown = problem.detail;
    super(
      typeof detail === 'string' && detail !== '' ? `The turn failed: ${detail}` : 'The turn failed.',
      options,
    );
    this.problem = problem;
  }

  override get retryAfterMs(): number | undefined {
    return this.problem.retryAfterMs;
  }
}

/**
 * Why a revert changed nothing.
 *
 * - `unknown-message`, `unknown-part`: the session has none with this id.
 * - `snapshot-locked`: the repository of snapshots, which OpenCode keeps to restore files, is locked, mostly by a git that was
 *   killed. Turns that ran meanwhile cannot be taken back.
 * - `no-snapshot`: a turn used tools while that was locked, so what it changed is not known.
 */
export type RevertReason = 'unknown-message' | 'unknown-part' | 'snapshot-locked' | 'no-snapshot';

const REVERT_TEXT: Record<RevertReason, string> = {
  'unknown-message': 'the session has no such message. Look it up with session.messages()',
  'unknown-part': 'the message has no such part. Look it up with session.message()',
  'snapshot-locked':
    'OpenCode cannot restore files while its snapshots are locked. If no git uses them, delete',
  'no-snapshot':
    'OpenCode took no snapshots while a turn used tools, so it cannot restore files. Restore them with git',
};

/** `revert()` reverted nothing, or `unrevert()` undid nothing, though the server answers with success; the session is as it was. */
export class RevertError extends JarvisError {
  override readonly name = 'RevertError';
  override readonly code = 'REVERT_FAILED';
  readonly reason: RevertReason;
  readonly sessionID: string;
  /** The message to go back to; for `unrevert()` the one that the session stays reverted to. */
  readonly messageID: string;
  /** The file that locks the snapshots, on the server's disk; relative to OpenCode's data directory where that is not known. */
  readonly lockFile: string | undefined;

  constructor(
    init: {
      readonly reason: RevertReason;
      readonly sessionID: string;
      readonly messageID: string;
      readonly lockFile?: string | undefined;
      /** Whether `unrevert()` was called. */
      readonly isUndo?: boolean;
    },
    options?: ErrorOptions,
  ) {
    const { reason, sessionID, messageID, lockFile, isUndo = false } = init;
    const file = lockFile === undefined ? '' : ` ${lockFile}`;
    const what = isUndo
      ? `The revert of session ${sessionID} to ${messageID} was not undone`
      : `Session ${sessionID} was not reverted to ${messageID}`;
    super(`${what}: ${REVERT_TEXT[reason]}${file}.`, options);
    this.reason = reason;
    this.sessionID = sessionID;
    this.messageID = messageID;
    this.lockFile = lockFile;
  }
}

/** The first ten of a list in words, and how many more there are. */
function listOf<T>(items: readonly T[], textOf: (item: T) => string): string {
  const more = items.length > 10 ? [`${items.length - 10} more`] : [];
  return [...items.slice(0, 10).map(textOf), ...more].join(', ');
}

/** The instance has holds, so it was not disposed. */
export class DisposeRefusedError extends JarvisError {
  override readonly name = 'DisposeRefusedError';
  override readonly code = 'DISPOSE_REFUSED';
  readonly directory: string;
  /** What keeps the instance loaded. */
  readonly holds: readonly Hold[];

  constructor(directory: string, holds: readonly Hold[], options?: ErrorOptions) {
    const named = listOf(holds, ({ kind, detail }) => `${kind} ${detail}`);
    super(
      `The instance of ${JSON.stringify(directory)} is in use (${named}) and was not disposed. ` +
        'Wait until it is idle, or dispose it with force.',
      options,
    );
    this.directory = directory;
    this.holds = holds;
  }
}

/** One place, and what the repository that has it waits for. */
export interface UseWait {
  /** The repository that has the place. */
  readonly directory: string;
  /** The repository that a function running there waits for, by `use()`. */
  readonly waitsFor: string;
}

/**
 * `fleet.place()` was refused: jarvis sessions are bound in the repository, and the other server has not their sessions, because it has another
 * data directory. Nothing was moved.
 */
export class RepoBoundError extends JarvisError {
  override readonly name = 'RepoBoundError';
  override readonly code = 'REPO_BOUND';
  readonly directory: string;
  /** The member that has it. */
  readonly server: string;
  /** The member that was to have it. */
  readonly requested: string;
  /** What is bound there. */
  readonly bindings: readonly {
    readonly jarvisSessionID: string;
    readonly sessionID: string;
    readonly directory: string;
  }[];

  constructor(
    init: {
      readonly directory: string;
      readonly server: string;
      readonly requested: string;
      readonly bindings: RepoBoundError['bindings'];
    },
    options?: ErrorOptions,
  ) {
    const { directory, server, requested, bindings } = init;
    const named = listOf(bindings, ({ jarvisSessionID }) => JSON.stringify(jarvisSessionID));
    super(
      `The repository ${JSON.stringify(directory)} stays with the server ${JSON.stringify(server)}: ${named} are bound to sessions there, which ` +
        `${JSON.stringify(requested)} does not have. Unbind them, let both servers have one dataDir, or pass force: true, which unbinds them.`,
      options,
    );
    this.directory = directory;
    this.server = server;
    this.requested = requested;
    this.bindings = bindings;
  }
}

/**
 * A `use()` inside `use()` was refused, because it would wait for ever: each place belongs to a repository with a function that waits
 * for a place itself.
 */
export class UseDeadlockError extends JarvisError {
  override readonly name = 'UseDeadlockError';
  override readonly code = 'USE_DEADLOCK';
  /** The repository that was to be used. */
  readonly directory: string;
  /** Every place, with what its repository waits for. */
  readonly waits: readonly UseWait[];

  constructor(directory: string, waits: readonly UseWait[], options?: ErrorOptions) {
    const named = listOf(
      waits,
      (wait) => `${JSON.stringify(wait.directory)} waits for ${JSON.stringify(wait.waitsFor)}`,
    );
    super(
      `use() of ${JSON.stringify(directory)} would wait for ever: no place can become free (${named}). ` +
        'Raise idle.maxLoaded, or call use() of one repository after that of another, not inside it.',
      options,
    );
    this.directory = directory;
    this.waits = waits;
  }
}

/**
 * The library does not send this: it would reach beyond the repository, or nobody knows what it does. Thrown by `repo.fetch`, and
 * by `repo.project` for another project.
 */
export class OperationRefusedError extends JarvisError {
  override readonly name = 'OperationRefusedError';
  override readonly code = 'OPERATION_REFUSED';
  readonly method: string;
  /** The path as it was given, without its query, cut to 200 characters. */
  readonly path: string;
  /** What to use instead, e.g. `repo.worktrees.remove()`. */
  readonly instead: string;

  constructor(init: RequestTarget & { readonly why: string; readonly instead: string }) {
    const path = init.path.slice(0, 200);
    super(`Refused ${init.method} ${path}: ${init.why}. Use ${init.instead}.`);
    this.method = init.method;
    this.path = path;
    this.instead = init.instead;
  }
}

/** The server process could not be started; nothing of it is left running. */
export class ServerStartError extends JarvisError {
  override readonly name = 'ServerStartError';
  override readonly code = 'SERVER_START';
  /** The command line, without secrets. */
  readonly command: string;
  /** The exit code when it exited by itself, otherwise `null`. */
  readonly exitCode: number | null;
  /** The last lines of its output, with secrets removed. */
  readonly recentOutput: readonly string[];

  constructor(
    init: {
      readonly message: string;
      readonly command: string;
      readonly exitCode?: number | null;
      readonly recentOutput?: readonly string[];
    },
    options?: ErrorOptions,
  ) {
    const output = init.recentOutput ?? [];
    super(
      init.message + (output.length > 0 ? ` Last output:\n  ${output.slice(-5).join('\n  ')}` : ''),
      options,
    );
    this.command = init.command;
    this.exitCode = init.exitCode ?? null;
    this.recentOutput = output;
  }
}

/**
 * The server process ended while something still needed it: a call that may have been executed and is not repeated, or anything
 * at all when no other server is started.
 */
export class ServerLostError extends JarvisError {
  override readonly name = 'ServerLostError';
  override readonly code = 'SERVER_LOST';

  constructor(what: string, options?: ErrorOptions) {
    super(`${what} was cut off: the server process has ended.`, options);
  }
}

/** The server is not one this library can talk to. */
export class UnsupportedServerError extends JarvisError {
  override readonly name = 'UnsupportedServerError';
  override readonly code = 'UNSUPPORTED_SERVER';
  readonly found: string;
  readonly supported: string;
  /** The operations of OpenCode 2 that this library needs and the server has not, by its own description; empty where they do not matter. */
  readonly missing: readonly string[];

  /** @param options - `command` is the binary that was asked, if there is one. */
  constructor(
    found: string,
    supported: string,
    options?: ErrorOptions & { readonly command?: string; readonly missing?: readonly string[] },
  ) {
    const { command, missing = [] } = options ?? {};
    const lack = missing.length === 0 ? '' : ` It has no ${missing.join(', no ')}.`;
    super(
      `OpenCode server ${found}${command === undefined ? '' : ` (${command})`} is not supported; this library needs ${supported}.${lack} ` +
        (/^v?[2-9]\./.test(found) && missing.length === 0
          ? 'OpenCode 2 has another API: from 2.0.14 on it is taken with `experimental: { opencode2: true }`. '
          : '') +
        'Install a supported one, e.g. npm install opencode-ai@1.18.',
      options,
    );
    this.found = found;
    this.supported = supported;
    this.missing = missing;
  }
}

/** The server has no such operation: it is of another major version of OpenCode than the operation. Nothing was sent. */
export class UnsupportedOperationError extends JarvisError {
  override readonly name = 'UnsupportedOperationError';
  override readonly code = 'UNSUPPORTED_OPERATION';
  /** What was asked for: a method of this library with the option, or method and path of the operation as OpenCode 1.18 has it. */
  readonly operation: string;
  /** The major version of the server. */
  readonly opencode: 1 | 2;

  constructor(operation: string, opencode: 1 | 2) {
    super(
      `OpenCode ${opencode} has nothing for ${operation}. ` +
        'The guide "OpenCode 1 and 2" lists what both have; jarvis.server.version tells which server this is.',
    );
    this.operation = operation;
    this.opencode = opencode;
  }
}

/** The object was used after `close()`, or asked for new work while `close({ drainMs })` lets the rest end. */
export class ClosedError extends JarvisError {
  override readonly name = 'ClosedError';
  override readonly code = 'CLOSED';
  /** Whether it is not closed yet, and what runs may still end. */
  readonly isDraining: boolean;

  constructor(what = 'JarvisOpenCode', { isDraining = false }: { readonly isDraining?: boolean } = {}) {
    const state = isDraining ? 'is closing: what runs may end, and nothing new begins' : 'is closed';
    super(`${what} ${state}. Start or connect a new one.`);
    this.isDraining = isDraining;
  }
}

/** Every error of this library; `switch` over `code` or `name` narrows it to one class. */
export type AnyJarvisError =
  | RequestError
  | ConnectionError
  | TimeoutError
  | ResponseShapeError
  | ResponseTooLargeError
  | RepoPathError
  | FilePathError
  | SessionDirectoryError
  | SessionNotBoundError
  | SessionAlreadyBoundError
  | RepoPlacedError
  | RepoBoundError
  | TurnError
  | RemoteTurnError
  | RevertError
  | DisposeRefusedError
  | UseDeadlockError
  | OperationRefusedError
  | ServerStartError
  | ServerLostError
  | UnsupportedServerError
  | UnsupportedOperationError
  | ClosedError;

/**
 * Whether something is an error of this library, whichever copy of the library made it.
 *
 * @example
 * ```ts
 * if (isJarvisError(error) && error.code === 'TURN_FAILED') console.error(error.reason);
 * ```
 */
export function isJarvisError(error: unknown): error is AnyJarvisError {
  return error instanceof JarvisError;
}

const classes = {
  REQUEST_FAILED: RequestError,
  CONNECTION_FAILED: ConnectionError,
  TIMEOUT: TimeoutError,
  RESPONSE_SHAPE: ResponseShapeError,
  RESPONSE_TOO_LARGE: ResponseTooLargeError,
  REPO_PATH: RepoPathError,
  REPO_PLACED: RepoPlacedError,
  REPO_BOUND: RepoBoundError,
  FILE_PATH: FilePathError,
  SESSION_DIRECTORY: SessionDirectoryError,
  SESSION_NOT_BOUND: SessionNotBoundError,
  SESSION_ALREADY_BOUND: SessionAlreadyBoundError,
  TURN_FAILED: TurnError,
  REMOTE_TURN_FAILED: RemoteTurnError,
  REVERT_FAILED: RevertError,
  DISPOSE_REFUSED: DisposeRefusedError,
  USE_DEADLOCK: UseDeadlockError,
  OPERATION_REFUSED: OperationRefusedError,
  SERVER_START: ServerStartError,
  SERVER_LOST: ServerLostError,
  UNSUPPORTED_SERVER: UnsupportedServerError,
  UNSUPPORTED_OPERATION: UnsupportedOperationError,
  CLOSED: ClosedError,
} satisfies Record<JarvisErrorCode, unknown>;
const classByCode: ReadonlyMap<string, unknown> = new Map(Object.entries(classes));

/** Stands outside of the class: a bundler renames a class that names itself. */
function isInstance(errorClass: typeof JarvisError, value: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(errorClass, value)) return true;
  const code = brandedCodeOf(value);
  if (code === undefined) return false;
  return errorClass === JarvisError || classByCode.get(code) === errorClass;
}

/** The `code` of an error of any copy of this library. */
function brandedCodeOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { [BRAND]: isBranded, code } = value as { readonly [BRAND]?: unknown; readonly code?: unknown };
  return isBranded === true && typeof code === 'string' ? code : undefined;
}

/** Request timeout, too early, too many requests. */
const TRANSIENT_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);

/** The turns that may go better the next time. */
const RETRYABLE_TURNS: ReadonlySet<TurnErrorReason> = new Set([
  'busy',
  'interrupted',
  'unfinished',
  'not-started',
  'stalled',
  'unreachable',
  'summarized',
]);

/** Whether the same call may succeed when it is made again, see `JarvisError.isRetryable`. */
function isRetryable(error: unknown): boolean {
  if (error instanceof RequestError) return error.status >= 500 || TRANSIENT_STATUSES.has(error.status);
  if (error instanceof ConnectionError) return !error.isRedirect;
  if (error instanceof TurnError) {
    const { reason, serverError } = error;
    if (reason !== 'provider') return RETRYABLE_TURNS.has(reason);
    const data: unknown = serverError?.data;
    return isRecord(data) && data.isRetryable === true;
  }
  if (error instanceof RemoteTurnError) return error.problem.isRetryable === true;
  if (error instanceof RevertError) return error.reason === 'snapshot-locked';
  return (
    error instanceof TimeoutError || error instanceof ServerLostError || error instanceof DisposeRefusedError
  );
}

/** Whether asking again cannot change an error: the server refused, or it is no server of ours. */
export function isPermanent(error: unknown): boolean {
  return error instanceof JarvisError && !isRetryable(error);
}

/** Milliseconds that `retry-after-ms` or `retry-after` asks for, in seconds or as a date. */
export function retryAfterOf(header: (name: string) => string | null | undefined): number | undefined {
  const ms = header('retry-after-ms')?.trim() ?? '';
  if (A_NUMBER.test(ms)) return Number(ms);
  const text = header('retry-after')?.trim() ?? '';
  if (A_NUMBER.test(text)) return Number(text) * 1_000;
  // V8 takes much for a date, e.g. `soon-1`; that of a header ends so.
  const waitMs = text.endsWith('GMT') ? Date.parse(text) - Date.now() : Number.NaN;
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : undefined;
}

/** Up to 15 digits: no longer number is exact, or a time to wait. */
const A_NUMBER = /^\d{1,15}(\.\d+)?$/;

/** The headers of the model's provider, as the server passes them on. */
function providerHeadersOf(
  serverError: { readonly data?: unknown } | undefined,
): (name: string) => string | undefined {
  const data = isRecord(serverError?.data) ? serverError.data : {};
  const headers = isRecord(data.responseHeaders) ? data.responseHeaders : {};
  const own = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return (name) => {
    const value = own.get(name);
    return typeof value === 'string' ? value : undefined;
  };
}

function causeText(options: ErrorOptions | undefined): string {
  const cause = options?.cause;
  if (!(cause instanceof Error)) return '';
  const inner = cause.cause instanceof Error ? cause.cause : cause;
  return ` (${inner.message || inner.name})`;
}
