import { parseInput, type RequestOptions } from '../http/request-options.js';
import type { RunAsDisposal, RepoTransport } from '../http/repo-transport.js';
import { configInputSchema, configSchema, type Config } from '../schema/config.js';
import { configProvidersSchema, type ConfigProviders } from '../schema/providers.js';
import { RepoResource } from './repo-resource.js';

/**
 * The configuration of one repository. The server reads it when it loads the instance; an edit shows after
 * `repo.dispose()`. With a broken one the server answers every call with status 400, also after a repair, until it is
 * restarted.
 */
export class ConfigResource extends RepoResource {
  readonly #runAsDisposal: RunAsDisposal;

  /** @internal */
  constructor(transport: RepoTransport, runAsDisposal: RunAsDisposal) {
    super(transport);
    this.#runAsDisposal = runAsDisposal;
  }

  /**
   * Reads the configuration, merged from all that applies to this directory. It contains credentials in the clear.
   *
   * @throws {RequestError} with status 400 and `ConfigJsonError` or `ConfigInvalidError` when a file of it is broken.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  get(options?: RequestOptions): Promise<Config> {
    return this.transport.send({ method: 'GET', path: '/config', schema: configSchema }, options);
  }

  /**
   * Merges `config` into the configuration of this directory. The server writes a file `config.json` **into the repository**
   * and disposes the instance. While something holds the instance, the call is refused.
   *
   * @throws {DisposeRefusedError} when something holds the instance; nothing was written then.
   * @throws {TypeError} {@link RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async update(config: Config, options?: RequestOptions): Promise<Config> {
    const json = parseInput(configInputSchema, 'configuration', config);
    return this.#runAsDisposal(
      (signal) =>
        this.transport.sendUngated(
          { method: 'PATCH', path: '/config', json, schema: configSchema },
          { ...options, signal },
        ),
      options,
    );
  }

  /**
   * Lists the providers that can be used now, and the default model of each. The answer contains credentials in the
   * clear.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  providers(options?: RequestOptions): Promise<ConfigProviders> {
    return this.transport.send(
      { method: 'GET', path: '/config/providers', schema: configProvidersSchema },
      options,
    );
  }
}
