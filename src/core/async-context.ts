/** Carries a value along asynchronous work, as Node's `AsyncLocalStorage` does. */
export interface AsyncContext<T> {
  /** The value of the work that calls this; `undefined` outside of `run()`. */
  get(): T | undefined;
  /** Calls `work`; everything that it starts has the value. */
  run<R>(value: T, work: () => R): R;
}
