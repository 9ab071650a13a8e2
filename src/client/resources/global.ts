import type { Http } from '../http/http.js';
import { parseInput, type RequestOptions } from '../http/request-options.js';
import { route } from '../http/route.js';
import { authInputSchema, type AuthInput } from '../schema/auth.js';
import { configInputSchema, configSchema, type Config } from '../schema/config.js';
import { booleanSchema, healthSchema, MAX_HEALTH_BYTES, type Health } from '../schema/server.js';

/** The calls that make the server dispose every instance. They refuse to cut off work. */
export interface DisposingCalls {
  /** Disposes every instance. */
  dispose(options?: RequestOptions): Promise<void>;
  /** Changes the configuration of the server's user. */
  updateConfig(config: Config, options?: RequestOptions): Promise<Config>;
}

/** Merges `config` into the configuration of the server's user, upon which the server disposes every instance. */
export function sendGlobalConfig(http: Http, config: Config, options: RequestOptions): Promise<Config> {
  return http.send({ method: 'PATCH', path: '/global/config', json: config, schema: configSchema }, options);
}

/** The configuration of the server's user, which every repository inherits. */
export class GlobalConfigResource {
  readonly #http: Http;
  readonly #disposing: DisposingCalls;

  /** @internal */
  constructor(http: Http, disposing: DisposingCalls) {
    this.#http = http;
    this.#disposing = disposing;
  }

  /**
   * Reads the configuration.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  get(options?: RequestOptions): Promise<Config> {
    return this.#http.send({ method: 'GET', path: '/global/config', schema: configSchema }, options);
  }

  /**
   * Merges `config` into the configuration. The server writes the user's configuration file and disposes every
   * instance; the call is refused while something holds one.
   *
   * @throws {DisposeRefusedError} when something holds an instance; nothing was written then.
   * @throws {TypeError} {@link RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async update(config: Config, options?: RequestOptions): Promise<Config> {
    return this.#disposing.updateConfig(parseInput(configInputSchema, 'configuration', config), options);
  }
}

/** The credentials of the server's user, by provider. The server never reveals them. */
export class AuthResource {
  readonly #http: Http;

  /** @internal */
  constructor(http: Http) {
    this.#http = http;
  }

  /**
   * Stores the credentials of a provider. Loaded instances keep using the credentials they have.
   *
   * @throws {TypeError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  async set(providerID: string, auth: AuthInput, options?: RequestOptions): Promise<void> {
    const json = parseInput(authInputSchema, 'credentials', auth);
    await this.#http.send(
      { method: 'PUT', path: route`/auth/${providerID}`, json, schema: booleanSchema },
      options,
    );
  }

  /**
   * Forgets the credentials of a provider.
   *
   * @throws {TypeError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  async remove(providerID: string, options?: RequestOptions): Promise<void> {
    await this.#http.send(
      { method: 'DELETE', path: route`/auth/${providerID}`, schema: booleanSchema },
      options,
    );
  }
}

/** The calls that concern the server as a whole. */
export class GlobalResource {
  readonly auth: AuthResource;
  readonly config: GlobalConfigResource;
  readonly #http: Http;
  readonly #disposing: DisposingCalls;

  /** @internal */
  constructor(http: Http, disposing: DisposingCalls) {
    this.#http = http;
    this.#disposing = disposing;
    this.auth = new AuthResource(http);
    this.config = new GlobalConfigResource(http, disposing);
  }

  /**
   * Asks the server for its health. Loads no instance.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  health(options?: RequestOptions): Promise<Health> {
    return this.#http.send(
      { method: 'GET', path: '/global/health', schema: healthSchema, maxBytes: MAX_HEALTH_BYTES },
      options,
    );
  }

  /**
   * Disposes every instance on the server and resolves when they are gone. Calls made meanwhile wait.
   *
   * @throws {DisposeRefusedError} when something holds one; none was disposed then.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  dispose(options?: RequestOptions): Promise<void> {
    return this.#disposing.dispose(options);
  }
}
