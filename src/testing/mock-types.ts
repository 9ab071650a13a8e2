import type { HttpHandler } from 'msw';
import type { Clock } from '../core/clock.js';
import type { Command } from '../client/schema/commands.js';
import type { Message } from '../client/schema/message.js';
import type { SessionInfo } from '../client/schema/session.js';
import type { MockHandler, MockOperation } from './http/operations.js';
import type { RequestFailure } from './http/request-faults.js';
import type { MockRequest } from './http/route.js';
import type { MockShell } from './model/turns.js';
import type { MockScript, ScriptOptions } from './script/script.js';
import type { MockInstance } from './state/instances.js';
import type { MemorySocket } from './state/pty-socket.js';
import type { MockEvent } from './state/stream-faults.js';
import type { MockTerminalProgram } from './state/terminal.js';

/** How the mock presents itself, and how its model, tools and terminals answer. */
export interface MockOpenCodeOptions {
  /**
   * The major version of OpenCode that the mock speaks: its routes, events and messages. Scripts, assertions and faults are the
   * same for both; a script that calls `bash` or `task` calls `shell` or `subagent` on OpenCode 2. What `sessions()` and
   * `messages()` give has the shape of OpenCode 1.x for both.
   *
   * @default 1
   */
  readonly opencode?: 1 | 2 | undefined;
  /**
   * The origin of the mock. Nothing listens there: `handlers` answer the requests to it.
   *
   * @default another one for each mock, e.g. `http://opencode-1.invalid`
   */
  readonly url?: string | undefined;
  /**
   * The password; requests without it get status 401.
   *
   * @default every request passes; OpenCode 2 has always a password: another one for each mock, which `connectOptions` has
   */
  readonly password?: string | undefined;
  /** The user name of the password, which OpenCode 2 does not let one choose. @default 'opencode' */
  readonly username?: string | undefined;
  /** The version that the server reports. @default '1.18.33', for OpenCode 2 '2.0.14' */
  readonly version?: string | undefined;
  /** The absolute directory of requests that name none. @default '/' */
  readonly cwd?: string | undefined;
  /**
   * Gives the id of the project that a directory belongs to: on a real server the clones and worktrees of one repository are
   * one project.
   *
   * @default each directory is a project of its own
   */
  readonly projectOf?: ((directory: string) => string) | undefined;
  /** How the model answers until `reply()` or `script()` is called. @default every prompt with `ok` */
  readonly script?: MockScript | undefined;
  /** The permissions that every tool asks for, e.g. `['bash', 'edit']`. @default none */
  readonly asks?: readonly string[] | undefined;
  /** More agents beside `build`, `plan`, `general` and `explore`. A prompt for an unknown agent fails. @default none */
  readonly agents?: readonly string[] | undefined;
  /** More models beside `mock/mock`, as `provider/model`. A prompt for an unknown model fails. @default none */
  readonly models?: readonly string[] | undefined;
  /** The commands of the server. @default `init` */
  readonly commands?: readonly Command[] | undefined;
  /** Gives the output of the command lines of `session.shell()`. @default no output */
  readonly shell?: MockShell | undefined;
  /** The program in every terminal, whatever its command is. @default one that shows what is typed */
  readonly terminal?: MockTerminalProgram | undefined;
  /**
   * The time source of what the mock stores, and of what takes time because a test asks for it: `wait()`, delays, slow disposals.
   *
   * @default the system clock, which fake timers replace
   */
  readonly clock?: Clock | undefined;
}

/** Faults of the event streams. The first event of each stream, `server.connected`, always arrives. */
export interface MockStream {
  /** Loses matching events until the returned fault is disposed. @default all events match */
  drop(matches?: (event: MockEvent) => boolean): Disposable;
  /** Holds all events back until the returned fault is disposed; then sends them in order. */
  hold(): Disposable;
  /**
   * Delays all events until the returned fault is disposed.
   *
   * @param ms - milliseconds by the clock of the mock, 0 or more.
   * @throws {RangeError} for a negative `ms`.
   */
  delay(ms: number): Disposable;
  /** Breaks every open stream in the middle of a frame; clients can connect again. */
  cut(): void;
}

/** An OpenCode server in memory, with its scripting API. */
export interface MockServer extends Disposable, AsyncDisposable {
  /** The origin of the mock. */
  readonly url: string;
  /** The version that it reports. */
  readonly version: string;
  /** For `setupServer(...mock.handlers)` or `setupWorker(...mock.handlers)`. */
  readonly handlers: readonly HttpHandler[];
  /** For `JarvisOpenCode.connect(mock.connectOptions)`. */
  readonly connectOptions: {
    readonly url: string;
    readonly username?: string;
    readonly password?: string;
    /** Takes the mock of OpenCode 2. */
    readonly experimental?: { readonly opencode2: true };
    /** Connects to the terminals of the mock: msw does not intercept WebSockets of the package `ws`. */
    readonly webSocket: new (url: string) => MemorySocket;
  };
  /**
   * Gives a directory that no other call gave. The mock has no disk, so any other absolute path works too.
   *
   * @param name - the last segment of the path. @default 'repo'
   */
  repo(name?: string): Promise<string>;
  /** Makes the model answer every prompt from now on with this text. */
  reply(answer: string, options?: ScriptOptions): void;
  /**
   * Makes the model answer every prompt from now on by this script.
   *
   * @throws {TypeError} when `script` is not a function.
   */
  script(script: MockScript, options?: ScriptOptions): void;
  /**
   * Answers an operation in place of the mock, until the returned handler is disposed. The newest handler wins.
   *
   * @param operation - `METHOD /path`, with parameters in braces, as OpenCode documents it.
   * @throws {TypeError} when `operation` is not written that way, or `handle` is not a function.
   */
  use<O extends MockOperation>(operation: O, handle: MockHandler<O>): Disposable;
  /**
   * Fails the nth of the matching requests from now on, and `times` - 1 after it.
   *
   * @returns a fault that ends early when it is disposed.
   * @throws {TypeError} {@link RangeError} for an invalid operation or failure.
   */
  failRequest(operation: MockOperation, failure?: RequestFailure): Disposable;
  readonly stream: MockStream;
  /**
   * Breaks the configuration of a directory: while its instance is not loaded, every request that needs the instance gets
   * status 400 and `ConfigJsonError`. OpenCode 2 works without a configuration that it cannot read: nothing fails. Disposing the returned object repairs the file. Like OpenCode 1.18.33, the mock keeps an
   * error that it has read until `crash()` and `restart()`.
   *
   * @param reason - the reason in the error's message. @default 'CloseBraceExpected'
   */
  breakRepo(directory: string, reason?: string): Disposable;
  /**
   * Makes every disposal from now on take longer.
   *
   * @param ms - milliseconds by the clock of the mock, 0 or more.
   * @throws {RangeError} for a negative `ms`.
   */
  slowDisposal(ms: number): void;
  /** Disposes the instance of a directory as another client would, whatever runs in it; resolves when it is disposed. */
  dispose(directory: string): Promise<void>;
  /** Ends the server like a process that is killed: streams break, turns stop where they are, requests get no answer. */
  crash(): void;
  /** Starts the server again after `crash()`: stored sessions are there, and no instance is loaded. */
  restart(): void;
  /** Copies of the requests so far, oldest first. */
  requests(): MockRequest[];
  /** The state of the instance of every directory that was used so far. */
  instances(): MockInstance[];
  /** Copies of the sessions that exist, oldest first. */
  sessions(): SessionInfo[];
  /**
   * Copies of the messages of a session, oldest first.
   *
   * @throws {Error} when the session does not exist.
   */
  messages(sessionID: string): Message[];
  /** Ends the server, and closes the clients that it made. Idempotent. */
  close(): Promise<void>;
}
