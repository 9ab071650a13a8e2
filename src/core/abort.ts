import { MAX_TIMER_MS } from './clock.js';
import { realTime } from './real-time.js';

interface FanOut {
  readonly listeners: Set<{ readonly run: () => void }>;
  readonly handler: () => void;
}

/** One listener per signal, however many wait for it: a shared signal must not warn of a leak that is none. */
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
 * By its methods, not its class: a test environment may bring an `AbortSignal` of its own.
 *
 * @throws {TypeError} when it is none.
 */
export function assertSignal(signal: Partial<AbortSignal> | null): void {
  const isSignal =
    typeof signal === 'object' &&
    typeof signal?.aborted === 'boolean' &&
    typeof signal.addEventListener === 'function' &&
    typeof signal.removeEventListener === 'function';
  if (!isSignal) throw new TypeError(`Expected signal to be an AbortSignal, got ${typeof signal}.`);
}

/** Calls `run` once when `signal` aborts, at once if it already has; the returned function takes the listener off. */
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
 * Waits for `promise`, but no longer than until `signal` aborts; then rejects with the signal's own reason.
 * The listener is gone afterwards on every path; the abandoned promise's rejection is swallowed.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    // The reason passes through untouched, whatever the caller chose it to be.
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

/** A promise with its resolver outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** Makes a {@link Deferred}. Its rejection never surfaces as unhandled; whoever awaits it still sees it. */
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

/** A time limit, and what ends the work when it is over. */
export interface TimeLimit {
  readonly timeoutMs: number | false;
  readonly reason: (timeoutMs: number) => unknown;
  /** Whose time it is. @default real time */
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

  /** The same as {@link abortable}, without a listener; for one promise at a time. */
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

  /** Takes the time limit off. */
  unlimit(): void {
    this.#unlimit();
  }

  /** Takes the time limit off until the returned function is called: then all of it is left again. */
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
  const scope = new AbortScope([signal]);
  try {
    const isTooLate = delay(ms, scope.signal).then(() => false);
    return await Promise.race([promise.then(() => true), isTooLate]);
  } finally {
    scope.abort(undefined);
    scope.end();
  }
}
