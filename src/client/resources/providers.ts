import { parseInput, type RequestOptions } from '../http/request-options.js';
import { route } from '../http/route.js';
import {
  oauthAuthorizeInputSchema,
  oauthCallbackInputSchema,
  providerAuthAuthorizationSchema,
  providerAuthMethodsSchema,
  providerListSchema,
  type OAuthAuthorizeInput,
  type OAuthCallbackInput,
  type ProviderAuthAuthorization,
  type ProviderAuthMethod,
  type ProviderList,
} from '../schema/providers.js';
import { booleanSchema } from '../schema/server.js';
import { RepoResource } from './repo-resource.js';

/**
 * The model providers of one repository, and the sign-in to them. Credentials belong to the server, not to a
 * repository.
 */
export class ProvidersResource extends RepoResource {
  /**
   * Lists every provider the configuration allows, with all models, and tells which are connected. The answer can be
   * megabytes long and contains credentials in the clear.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<ProviderList> {
    return this.transport.send({ method: 'GET', path: '/provider', schema: providerListSchema }, options);
  }

  /**
   * Reads the ways to sign in, by provider id. A provider that is absent takes only a key.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  authMethods(options?: RequestOptions): Promise<Record<string, ProviderAuthMethod[]>> {
    return this.transport.send(
      { method: 'GET', path: '/provider/auth', schema: providerAuthMethodsSchema },
      options,
    );
  }

  /**
   * Begins to sign in and returns where to send the user. `oauthCallback()` ends the sign-in.
   *
   * @throws {RequestError} with status 500 when the provider or its method does not exist.
   * @throws {ResponseShapeError} when the method is one for a key: the server answers `null` then.
   * @throws {ConnectionError} {@link TimeoutError}
   */
  async oauthAuthorize(
    providerID: string,
    input: OAuthAuthorizeInput,
    options?: RequestOptions,
  ): Promise<ProviderAuthAuthorization> {
    const json = parseInput(oauthAuthorizeInputSchema, 'authorization', input);
    return this.transport.send(
      {
        method: 'POST',
        path: route`/provider/${providerID}/oauth/authorize`,
        json,
        schema: providerAuthAuthorizationSchema,
      },
      options,
    );
  }

  /**
   * Ends a sign-in that `oauthAuthorize()` began in this repository; the server stores the credentials. If the
   * authorization said `auto`, the server answers only when the user is done: raise `timeoutMs`.
   *
   * @throws {RequestError} with status 400 when none was begun (`ProviderAuthOauthMissing`), the code is missing
   *   (`ProviderAuthOauthCodeMissing`) or the provider refuses (`ProviderAuthOauthCallbackFailed`).
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async oauthCallback(
    providerID: string,
    input: OAuthCallbackInput,
    options?: RequestOptions,
  ): Promise<void> {
    const json = parseInput(oauthCallbackInputSchema, 'authorization', input);
    await this.transport.send(
      { method: 'POST', path: route`/provider/${providerID}/oauth/callback`, json, schema: booleanSchema },
      options,
    );
  }
}
