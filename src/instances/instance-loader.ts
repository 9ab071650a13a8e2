import type { EventHub } from '../client/events/hub.js';
import type { Http } from '../client/http/http.js';
import { cannotLoad, loadInstance } from '../client/instances/api.js';
import { AbortScope, resolvesWithin } from '../core/abort.js';
import { TimeoutError } from '../errors.js';
import type { LoadOutcome } from '../registry/instance-entry.js';

/** How many milliseconds loading an instance waits for the event stream. */
const STREAM_LIMIT_MS = 1_000;

/** What the loader needs from the client around it. */
export interface InstanceLoaderInit {
  readonly http: Http;
  readonly hub: Pick<EventHub, 'connect' | 'isLive'>;
  /** Whether the server is ours. */
  readonly ownsServer: boolean;
  /** Milliseconds loading one instance may take, or `false`. */
  readonly bootTimeoutMs: number | false;
  /** Aborts when the client can do no more. */
  readonly closed: AbortSignal;
}

/** Makes the server load instances. */
export class InstanceLoader {
  readonly #init: InstanceLoaderInit;

  constructor(init: InstanceLoaderInit) {
    this.#init = init;
  }

  /**
   * Loads the instance of a directory, which runs the plugins of the repository. The outcome is `unknown` when the request failed for
   * a reason that the call which needs the instance will meet itself.
   *
   * @param abandoned - aborts when nobody waits for it any more.
   * @throws {TimeoutError} when it takes too long.
   */
  async load(directory: string, abandoned: AbortSignal): Promise<LoadOutcome> {
    const { http, hub, ownsServer, bootTimeoutMs, closed } = this.#init;
    const scope = new AbortScope([closed, abandoned], {
      timeoutMs: bootTimeoutMs,
      reason: (timeoutMs) =>
        new TimeoutError(`Loading the instance of ${JSON.stringify(directory)}`, {
          phase: 'boot',
          timeoutMs,
        }),
    });
    try {
      // OpenCode 1.18.33 reports the error of a plugin only once, while it loads the plugin.
      if (ownsServer && !hub.isLive)
        await resolvesWithin(
          STREAM_LIMIT_MS,
          hub.connect().catch(() => undefined),
          scope.signal,
        );
      await loadInstance(http, directory, scope.signal);
      return 'loaded';
    } catch (error) {
      if (scope.signal.aborted && !abandoned.aborted) throw error;
      return cannotLoad(error) ? { error } : 'unknown';
    } finally {
      scope.end();
    }
  }
}
