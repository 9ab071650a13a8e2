import * as z from 'zod';
import type { Agent } from '../schema/agents.js';
import type { ConfigProviders, Model, Provider } from '../schema/providers.js';
import { pin, type Call, type Handler } from './call.js';
import { toRule } from './sessions.js';
import type { StepModel, WireRule } from './wire.js';

/** An agent, as OpenCode 2.0.14 lists it. */
interface WireAgent extends Pick<Agent, 'description' | 'mode' | 'hidden' | 'color' | 'steps'> {
  readonly id: string;
  readonly model?: StepModel;
  readonly system?: string;
  readonly permissions?: readonly WireRule[];
}

/** A provider, as OpenCode 2.0.14 lists it. */
interface WireProvider {
  readonly id: string;
  readonly name: string;
  readonly settings?: Record<string, unknown>;
}

/** A model, as OpenCode 2.0.14 lists it. */
interface WireModel {
  readonly id: string;
  readonly modelID: string;
  readonly providerID: string;
  readonly name: string;
  readonly package?: string;
  readonly settings?: { readonly baseURL?: string };
  readonly capabilities?: {
    readonly tools?: boolean;
    readonly input?: readonly string[];
    readonly output?: readonly string[];
  };
  readonly variants?: readonly { readonly id: string; readonly settings?: Record<string, unknown> }[];
  readonly cost?: readonly Model['cost'][];
  readonly status?: Model['status'];
  readonly limit?: Model['limit'];
}

const idSchema = z.looseObject({ id: z.string() });
const listSchema = () => z.looseObject({ data: z.array(idSchema) });
const defaultSchema = () => z.looseObject({ data: idSchema.nullish() });

async function readList<T>({ exchange, directory }: Call, path: string): Promise<T[]> {
  const query = pin(directory);
  return (await exchange.send({ method: 'GET', path, query, schema: listSchema })).data as unknown as T[];
}

function toAgent({ id, model, system, permissions = [], ...rest }: WireAgent): Agent {
  const { description, mode, hidden, color, steps } = rest;
  return {
    name: id,
    mode,
    ...(description !== undefined && { description }),
    ...(hidden !== undefined && { hidden }),
    ...(color !== undefined && { color }),
    ...(steps !== undefined && { steps }),
    ...(model !== undefined && { model: { providerID: model.providerID, modelID: model.id } }),
    ...(model?.variant !== undefined && { variant: model.variant }),
    ...(system !== undefined && { prompt: system }),
    permission: permissions.map(toRule),
    options: {},
  };
}

const agents: Handler = async (call) => ({
  body: (await readList<WireAgent>(call, '/api/agent')).map(toAgent),
});

function toModel(model: WireModel): Model {
  const { capabilities = {}, variants = [], cost = [], limit = { context: 0, output: 0 } } = model;
  const modalities = (kinds: readonly string[] = []): Model['capabilities']['input'] => ({
    text: kinds.includes('text'),
    audio: kinds.includes('audio'),
    image: kinds.includes('image'),
    video: kinds.includes('video'),
    pdf: kinds.includes('pdf'),
  });
  return {
    id: model.id,
    providerID: model.providerID,
    api: { id: model.modelID, url: model.settings?.baseURL ?? '', npm: model.package ?? '' },
    name: model.name,
    capabilities: {
      temperature: true,
      reasoning: variants.length > 0,
      attachment: capabilities.input?.some((kind) => kind !== 'text') === true,
      toolcall: capabilities.tools === true,
      input: modalities(capabilities.input),
      output: modalities(capabilities.output),
      interleaved: false,
    },
    cost: cost[0] ?? { input: 0, output: 0, cache: { read: 0, write: 0 } },
    limit,
    status: model.status ?? 'active',
    options: {},
    headers: {},
    release_date: '',
    variants: Object.fromEntries(variants.map(({ id, settings = {} }) => [id, settings])),
  };
}

/** The providers that can be used, and the model that prompts without one go to. Lists are empty for some seconds after a boot. */
const providers: Handler = async (call) => {
  const { exchange, directory } = call;
  const found = await readList<WireProvider>(call, '/api/provider');
  const models = await readList<WireModel>(call, '/api/model');
  const query = pin(directory);
  const request = { method: 'GET', path: '/api/model/default', query, schema: defaultSchema } as const;
  const preferred = (await exchange.send(request)).data as unknown as WireModel | null | undefined;
  const toProvider = ({ id, name, settings = {} }: WireProvider): Provider => ({
    id,
    name,
    source: 'config',
    env: [],
    options: settings,
    models: Object.fromEntries(
      models.filter(({ providerID }) => providerID === id).map((model) => [model.id, toModel(model)]),
    ),
  });
  const body: ConfigProviders = {
    providers: found.map(toProvider),
    default: preferred == null ? {} : { [preferred.providerID]: preferred.id },
  };
  return { body };
};

const mcpSchema = () =>
  z.looseObject({ data: z.array(z.looseObject({ name: z.string(), status: z.looseObject({}) })) });

/** The MCP servers by name. One that is starting (`pending`) is of a state that OpenCode 1.18 does not show. */
const mcp: Handler = async ({ exchange, directory }) => {
  const query = pin(directory);
  const { data } = await exchange.send({ method: 'GET', path: '/api/mcp', query, schema: mcpSchema });
  return { body: Object.fromEntries(data.map(({ name, status }) => [name, status])) };
};

/** The operations on what a repository offers. */
export const repoOperations: Readonly<Record<string, Handler>> = {
  'GET /agent': agents,
  'GET /config/providers': providers,
  'GET /mcp': mcp,
};
