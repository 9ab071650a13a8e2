import { deferred, type Deferred } from '../core/abort.js';
import type { Tracing } from '../core/tracing.js';
import { ServerLostError } from '../errors.js';
import type { ServerChange } from '../lifecycle/server/handle.js';

/** Publishes the begin and the end of the restarts of one server. */
export class RestartTracer {
  readonly #tracing: Tracing;
  /** The restart under way. */
  #running:
    | { readonly payload: { isRequested: boolean; attempts: number }; readonly end: Deferred<void> }
    | undefined;

  constructor(tracing: Tracing) {
    this.#tracing = tracing;
  }

  /** Takes each change of the server. */
  changed({ state, attempt = 0, isRequested = false, error }: ServerChange): void {
    if (state === 'restarting') this.#begin(isRequested, attempt);
    else if (state === 'ready') this.#end()?.resolve();
    else if (state !== 'starting' && state !== 'unhealthy')
      this.#end()?.reject(error ?? new ServerLostError('The restart of the server'));
  }

  #begin(isRequested: boolean, attempts: number): void {
    if (this.#running !== undefined) {
      this.#running.payload.attempts = attempts;
      return;
    }
    if (!this.#tracing.isTraced('restart')) return;
    const payload = { isRequested, attempts };
    const end = deferred();
    this.#running = { payload, end };
    this.#tracing.trace('restart', payload, () => end.promise).catch(() => undefined);
  }

  #end(): Deferred<void> | undefined {
    const end = this.#running?.end;
    this.#running = undefined;
    return end;
  }
}
