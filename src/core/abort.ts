import { MAX_TIMER_MS } from './clock.js';
import { realTime } from './real-time.js';

interface FanOut {
  readonly listeners: Set<{ readonly run: () => void }>;
  readonly handler: () => void;
}

/** One listener per signal, however many wait for it: Node would warn of a leak at the eleventh listener. */
const fanOuts = new WeakMap<AbortSignal, FanOut>();

function fanOutOf(signal: AbortSignal): FanOut {
  let fanOut = fanOuts.get(signal);
  if (fanOut === undefined) {
    const listeners: FanOut['listeners'] = new Set();
    const handler = (): void => {
      fanOuts.delete(signal);
      for (const listener of listeners) listener.run();
    };
    fanOut = { listeners, handler };
    fanOuts.set(signal, fanOut);
    signal.addEventListener('abort', handler, { once: true });
  }
  return fanOut;
}

/**
 * Checks a signal by its methods, not its class: a test environment may have an `AbortSignal` of its own.
 *
 * @throws {TypeError} if it is no signal.
 */
export function assertSignal(signal: Partial<AbortSignal> | null): void {
  const isSignal =
    typeof signal === 'object' &&
    typeof signal?.aborted === 'boolean' &&
    typeof signal.addEventListener === 'function' &&
    typeof signal.removeEventListener === 'function';
  if (!isSignal) throw new TypeError(`Expected signal to be an AbortSignal, got ${typeof signal}.`);
}

/** Calls `run` once when `signal` aborts, at once if it already has; the returned function removes the listener. */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (signal === undefined) return () => undefined;
  assertSignal(signal);
  if (signal.aborted) {
    run();
    return () => undefined;
  }
  const { listeners, handler } = fanOutOf(signal);
  const listener = { run };
  listeners.add(listener);
  return () => {
    if (!listeners.delete(listener) || listeners.size > 0) return;
    signal.removeEventListener('abort', handler);
    fanOuts.delete(signal);
  };
}

/**
 * Waits for `promise` until `signal` aborts, and rejects with the signal's own reason then. Removes its listener on every path, and
 * ignores a later rejection of `promise`.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    // The caller's own reason passes through unchanged.
    const detach = onAbort(signal, () => reject(signal.reason));
    promise.then(
      (value) => {
        detach();
        resolve(value);
      },
      (error: unknown) => {
        detach();
        reject(error);
      },
    );
  });
}

/** A promise with the functions that settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** Makes a {@link Deferred}. Its rejection never counts as unhandled; who awaits it still gets it. */
export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

/** Resolves after `ms` of real time, or rejects with the signal's reason when it aborts first. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = deferred();
  const timer = realTime.setTimeout(resolve, ms);
  try {
    await abortable(promise, signal);
  } finally {
    realTime.clearTimeout(timer);
  }
}

/** A time limit, with the reason of the abort when it is over. */
export interface TimeLimit {
  readonly timeoutMs: number | false;
  readonly reason: (timeoutMs: number) => unknown;
  /** The timers that measure it. @default real time */
  readonly timers?: Pick<typeof realTime, 'setTimeout' | 'clearTimeout'>;
}

/** One signal for everything that can end a piece of work; its listeners and its timer are gone after `end()`. */
export class AbortScope {
  readonly #controller = new AbortController();
  readonly #detach: (() => void)[];
  #startLimit: () => void = () => undefined;
  #unlimit: () => void = () => undefined;
  #rejectRace: ((reason: unknown) => void) | undefined;

  constructor(signals: readonly (AbortSignal | undefined)[], limit?: TimeLimit) {
    this.#detach = signals.map((signal) => onAbort(signal, () => this.abort(signal?.reason)));
    const { timeoutMs = false, reason, timers = realTime } = limit ?? {};
    if (timeoutMs === false) return;
    const run = (): void => this.abort(reason?.(timeoutMs));
    this.#startLimit = () => {
      const timer = timers.setTimeout(run, Math.min(timeoutMs, MAX_TIMER_MS));
      this.#unlimit = () => timers.clearTimeout(timer);
    };
    this.#startLimit();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
    this.#rejectRace?.(this.signal.reason);
  }

  /** As {@link abortable}, without a listener; for one promise at a time. */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) reject(this.signal.reason);
      this.#rejectRace = reject;
      promise.then(resolve, reject);
    });
  }

  /** Ends the current {@link race} with `reason`, and nothing else. */
  interrupt(reason: unknown): void {
    this.#rejectRace?.(reason);
  }

  /** Removes the time limit. */
  unlimit(): void {
    this.#unlimit();
  }

  /** Suspends the time limit until the returned function is called, which starts the whole of it again. */
  suspendLimit(): () => void {
    this.#unlimit();
    return () => {
      this.#unlimit();
      this.#startLimit();
    };
  }

  end(): void {
    this.unlimit();
    this.#startLimit = () => undefined;
    for (const detach of this.#detach) detach();
  }
}

/** Whether `promise` resolves within `ms` of real time; rejects with the signal's reason when that aborts first. */
export async function resolvesWithin(
  ms: number,
  promise: Promise<void>,
  signal?: AbortSignal,
): Promise<boolean> {
  const { promise: isTooLate, resolve } = deferred<boolean>();
  const timer = realTime.setTimeout(() => resolve(false), ms);
  try {
    return await abortable(Promise.race([promise.then(() => true), isTooLate]), signal);
  } finally {
    realTime.clearTimeout(timer);
  }
}
