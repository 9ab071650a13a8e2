import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** What a model takes or gives. */
export interface ModelModalities {
  text: boolean;
  audio: boolean;
  image: boolean;
  video: boolean;
  pdf: boolean;
}

/** US dollars per million tokens. */
export interface ModelPrice {
  input: number;
  output: number;
  cache: { read: number; write: number };
}

/** A model of a provider. */
export interface Model {
  /** The `modelID` of a prompt. */
  id: string;
  providerID: string;
  api: { id: string; url: string; npm: string };
  name: string;
  family?: string;
  capabilities: {
    temperature: boolean;
    reasoning: boolean;
    attachment: boolean;
    toolcall: boolean;
    input: ModelModalities;
    output: ModelModalities;
    interleaved: boolean | { field: string };
  };
  cost: ModelPrice & {
    tiers?: (ModelPrice & { tier: { type: 'context'; size: number } })[];
    experimentalOver200K?: ModelPrice;
  };
  /** Tokens. */
  limit: { context: number; input?: number; output: number };
  status: 'alpha' | 'beta' | 'deprecated' | 'active';
  options: Record<string, unknown>;
  headers: Record<string, string>;
  release_date: string;
  variants?: Record<string, Record<string, unknown>>;
}

/** A provider of models. `key` and `options.apiKey` are credentials in the clear: keep them out of logs. */
export interface Provider {
  /** The `providerID` of a prompt. */
  id: string;
  name: string;
  source: 'env' | 'config' | 'custom' | 'api';
  /** The environment variables its credentials are taken from. */
  env: string[];
  key?: string;
  options: Record<string, unknown>;
  models: Record<string, Model>;
}
const providerSchema = lazy(() =>
  z.looseObject({
    id: z.string(),
    models: z.record(z.string(), z.looseObject({ id: z.string() })),
  }),
);
const defaultModelsSchema = lazy(() => z.record(z.string(), z.string()));

/** Every provider there is. */
export interface ProviderList {
  all: Provider[];
  /** A model id for each provider, by the provider's. */
  default: Record<string, string>;
  /** Ids of the providers that can be used now. */
  connected: string[];
}
export const providerListSchema = lazy(() =>
  wire<ProviderList>(
    z.looseObject({
      all: z.array(providerSchema()),
      default: defaultModelsSchema(),
      connected: z.array(z.string()),
    }),
  ),
);

/** The providers that can be used now. */
export interface ConfigProviders {
  providers: Provider[];
  /** A model id for each provider, by the provider's. */
  default: Record<string, string>;
}
export const configProvidersSchema = lazy(() =>
  wire<ConfigProviders>(
    z.looseObject({ providers: z.array(providerSchema()), default: defaultModelsSchema() }),
  ),
);

/** Ask only when the answer to the prompt `key` is (`eq`) or is not (`neq`) `value`. */
export interface ProviderAuthCondition {
  key: string;
  op: 'eq' | 'neq';
  value: string;
}

/** What to ask the user before a sign-in, a union on `type`. The answers go into `inputs`, by `key`. */
export type ProviderAuthPrompt =
  | { type: 'text'; key: string; message: string; placeholder?: string; when?: ProviderAuthCondition }
  | {
      type: 'select';
      key: string;
      message: string;
      options: { label: string; value: string; hint?: string }[];
      when?: ProviderAuthCondition;
    };

/** A way to sign in to a provider: `oauth`, or `api` for a key. */
export interface ProviderAuthMethod {
  type: 'oauth' | 'api';
  label: string;
  prompts?: ProviderAuthPrompt[];
}
export const providerAuthMethodsSchema = lazy(() =>
  wire<Record<string, ProviderAuthMethod[]>>(
    z.record(z.string(), z.array(z.looseObject({ type: z.string() }))),
  ),
);

/** Where to send the user: with the method `code` they bring a code back, with `auto` the server notices by itself. */
export interface ProviderAuthAuthorization {
  url: string;
  method: 'auto' | 'code';
  instructions: string;
}
export const providerAuthAuthorizationSchema = lazy(() =>
  wire<ProviderAuthAuthorization>(z.looseObject({ url: z.string(), method: z.string() })),
);

const methodIndexSchema = lazy(() => z.number().int().nonnegative());

export const oauthAuthorizeInputSchema = lazy(() =>
  z.strictObject({
    method: methodIndexSchema(),
    inputs: z.record(z.string(), z.string()).optional(),
  }),
);
/**
 * How to sign in.
 *
 * - `method`: the index of an `oauth` method in the provider's list of `authMethods()`.
 * - `inputs`: the answers to its prompts, by `key`.
 *
 * @useDeclaredType
 */
export type OAuthAuthorizeInput = z.infer<ReturnType<typeof oauthAuthorizeInputSchema>>;

export const oauthCallbackInputSchema = lazy(() =>
  z.strictObject({
    method: methodIndexSchema(),
    code: z.string().min(1).optional(),
  }),
);
/**
 * How a sign-in ended.
 *
 * - `method`: the same as for `oauthAuthorize()`.
 * - `code`: what the user brought back, where the authorization said `code`.
 *
 * @useDeclaredType
 */
export type OAuthCallbackInput = z.infer<ReturnType<typeof oauthCallbackInputSchema>>;
