import type { HttpHandler } from 'msw';
import type { Clock } from '../core/clock.js';
import type { Command } from '../client/schema/commands.js';
import type { Message } from '../client/schema/message.js';
import type { SessionInfo } from '../client/schema/session.js';
import type { MockHandler, MockOperation } from './http/operations.js';
import type { RequestFailure } from './http/request-faults.js';
import type { MockRequest } from './http/route.js';
import type { MockScript, ScriptOptions } from './script/script.js';
import type { MockShell } from './scripted-server.js';
import type { MockInstance } from './state/instances.js';
import type { MemorySocket } from './state/pty-socket.js';
import type { MockEvent } from './state/stream-faults.js';
import type { MockTerminalProgram } from './state/terminal.js';

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
