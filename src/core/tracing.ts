import type { DisposeReason, DisposeResult } from './instance.js';

/** A request of this client, as it is published on the tracing channel `jarvis-opencode:call`. */
export interface CallTrace {
  readonly method: string;
  /** On the server, without origin and query. */
  readonly path: string;
  /** The repository; `undefined` for a request that belongs to none. */
  readonly directory: string | undefined;
  /** Why it was rejected; from the event `error` on. */
  readonly error?: unknown;
}

/** A turn, as it is published on the tracing channel `jarvis-opencode:turn`; from the call until it ends, its time in the queue included. */
export interface TurnTrace {
  readonly sessionID: string;
  /** The id of the prompt. */
  readonly messageID: string;
  readonly directory: string;
  /** The call that began it. */
  readonly kind: 'prompt' | 'command' | 'shell' | 'init' | 'attach';
  /** What it used; from the event `asyncStart` on, when it was answered. */
  readonly result?: TurnUsage | undefined;
  /** Why it was rejected; from the event `error` on. */
  readonly error?: unknown;
}

/** What of the result of a turn is published. */
export interface TurnUsage {
  readonly cost: number;
  readonly tokens: { readonly input: number; readonly output: number; readonly reasoning: number };
}

/** The disposal of one instance, or of all, as it is published on the tracing channel `jarvis-opencode:disposal`. */
export interface DisposalTrace {
  /** What was loaded and is to be disposed. */
  readonly directories: readonly string[];
  readonly reason: DisposeReason;
  /** From the event `asyncStart` on, when it was carried out. */
  readonly result?: Omit<DisposeResult, 'directory'> | undefined;
  /** Why it was not: a `DisposeRefusedError` when something held an instance. */
  readonly error?: unknown;
}

/** A restart of the server, as it is published on the tracing channel `jarvis-opencode:restart`; until the next one is ready. */
export interface RestartTrace {
  /** Whether `restart()` was called; the server had ended otherwise. */
  readonly isRequested: boolean;
  /** How many starts it took so far. */
  readonly attempts: number;
  /** Why there is no next server; from the event `error` on. */
  readonly error?: unknown;
}

/** The payload of each tracing channel, by the last part of its name. */
export interface Traces {
  readonly call: CallTrace;
  readonly turn: TurnTrace;
  readonly disposal: DisposalTrace;
  readonly restart: RestartTrace;
}

/** Lets a function run in the asynchronous context of another moment. */
export type Bind = <T>(run: () => T) => () => T;

/** Publishes the begin and the end of what this library does, to whoever listens. */
export interface Tracing {
  /** Whether somebody listens; nothing is to be done for a trace otherwise. */
  isTraced(name: keyof Traces): boolean;
  /**
   * Publishes the begin, runs the function, and publishes its end. Settles as the function does.
   *
   * @param run - gets what binds a function, which is called later, to the context of this trace.
   */
  trace<K extends keyof Traces, T>(name: K, payload: Traces[K], run: (bind: Bind) => Promise<T>): Promise<T>;
}

/** Where nobody can listen. */
export const untraced: Tracing = {
  isTraced: () => false,
  trace: (_name, _payload, run) => run((bound) => bound),
};
