import type { EventHub } from '../client/events/hub.js';
import type { Http } from '../client/http/http.js';
import type { RequestOptions } from '../client/http/request-options.js';
import { sendGlobalConfig } from '../client/resources/global.js';
import type { Config } from '../client/schema/config.js';
import { deferred, resolvesWithin } from '../core/abort.js';
import type { InstanceControl } from '../instances/instance-control.js';

/** How long to wait for `global.disposed` after a change of the server's configuration. */
const GLOBAL_DISPOSED_MS = 1_000;

/** Changes the configuration of the server's user, which makes the server dispose every instance. */
export class GlobalConfig {
  readonly #http: Http;
  readonly #hub: EventHub;
  readonly #instances: InstanceControl;

  constructor(http: Http, hub: EventHub, instances: InstanceControl) {
    this.#http = http;
    this.#hub = hub;
    this.#instances = instances;
  }

  /**
   * Merges `config` into the configuration. This client disposes every instance first, so the disposal that the server adds has
   * nothing to cut off. OpenCode 1.18.33 reports that disposal within some 10 ms, or not at all when nothing changed.
   *
   * @throws {DisposeRefusedError} when something holds an instance; nothing was written then.
   */
  async update(config: Config, options?: RequestOptions): Promise<Config | undefined> {
    let updated: Config | undefined;
    await this.#instances.disposeAll(options, async (signal) => {
      const disposed = deferred();
      const unlisten = this.#hub.listen(undefined, {
        event: (event) => {
          if (event.type === 'global.disposed' && updated !== undefined) disposed.resolve();
        },
        lost: () => disposed.resolve(),
      });
      try {
        updated = await sendGlobalConfig(this.#http, config, { ...options, signal });
        await resolvesWithin(GLOBAL_DISPOSED_MS, disposed.promise, signal);
      } finally {
        unlisten();
      }
    });
    return updated;
  }
}
