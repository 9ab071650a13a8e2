import type { Agent } from '../../client/schema/agents.js';
import type { ServerErrorInfo } from '../../client/schema/message.js';
import type { ModelRef } from '../../client/schema/prompt.js';
import type { Model, Provider } from '../../client/schema/providers.js';

/** Thrown for a prompt whose agent or model does not exist. */
export class PromptRefusedError extends Error {
  override readonly name = 'PromptRefusedError';
  /** The error that the server sends at once. */
  readonly info: ServerErrorInfo;
  /** The error that it sends again when the client does not wait for the answer; a real server adds its stack. */
  readonly repeated: ServerErrorInfo;

  constructor(message: string, repeated: string) {
    super(message);
    this.info = { name: 'UnknownError', data: { message } };
    this.repeated = { name: 'UnknownError', data: { message: repeated } };
  }
}

const AGENTS: readonly (readonly [name: string, mode: Agent['mode']])[] = [
  ['build', 'primary'],
  ['plan', 'primary'],
  ['general', 'subagent'],
  ['explore', 'subagent'],
];

/** The agents and models of a server: the built-in ones and those of the test. */
export class Catalog {
  readonly agents: readonly Agent[];
  readonly providers: readonly Provider[];

  /**
   * @param agents - names of more agents.
   * @param models - more models, as `provider/model`.
   * @throws {TypeError} for a model that is not written that way.
   */
  constructor(agents: readonly string[], models: readonly string[]) {
    const own = agents.map((name) => agentOf(name, 'all', false));
    this.agents = [...AGENTS.map(([name, mode]) => agentOf(name, mode, true)), ...own];
    const byProvider = new Map<string, string[]>();
    for (const { providerID, modelID } of ['mock/mock', ...models].map(parseModel)) {
      byProvider.set(providerID, [...(byProvider.get(providerID) ?? []), modelID]);
    }
    this.providers = [...byProvider].map(([id, modelIDs]) => providerOf(id, modelIDs));
  }

  /** The id of the first model of each provider. */
  get defaultModels(): Record<string, string> {
    return Object.fromEntries(this.providers.map(({ id, models }) => [id, Object.keys(models)[0] ?? '']));
  }

  hasAgent(name: string): boolean {
    return this.agents.some((agent) => agent.name === name);
  }

  /** @throws {PromptRefusedError} when the agent does not exist. */
  assertAgent(name: string): void {
    if (this.hasAgent(name)) return;
    const names = this.agents.map((agent) => agent.name).sort();
    throw new PromptRefusedError(
      `Agent not found: ${JSON.stringify(name)}. Available agents: ${names.join(', ')}`,
      'UnknownError: UnknownError',
    );
  }

  /** @throws {PromptRefusedError} when the model does not exist. */
  assertModel({ providerID, modelID }: ModelRef): void {
    const provider = this.providers.find(({ id }) => id === providerID);
    if (provider !== undefined && Object.hasOwn(provider.models, modelID)) return;
    const message = `Model not found: ${providerID}/${modelID}.`;
    throw new PromptRefusedError(message, `ProviderModelNotFoundError: ${message}`);
  }
}

function parseModel(model: string): ModelRef {
  const slash = model.indexOf('/');
  if (slash > 0 && slash < model.length - 1) {
    return { providerID: model.slice(0, slash), modelID: model.slice(slash + 1) };
  }
  throw new TypeError(`Expected models to be written as provider/model, got ${JSON.stringify(model)}.`);
}

function agentOf(name: string, mode: Agent['mode'], native: boolean): Agent {
  return { name, mode, native, permission: [], options: {} };
}

function providerOf(id: string, modelIDs: readonly string[]): Provider {
  return {
    id,
    name: id,
    source: 'config',
    env: [],
    options: {},
    models: Object.fromEntries(modelIDs.map((modelID) => [modelID, modelOf(id, modelID)])),
  };
}

function modelOf(providerID: string, id: string): Model {
  const text = { text: true, audio: false, image: false, video: false, pdf: false };
  return {
    id,
    providerID,
    api: { id, url: '', npm: '@ai-sdk/openai-compatible' },
    name: id,
    capabilities: {
      temperature: false,
      reasoning: true,
      attachment: false,
      toolcall: true,
      input: text,
      output: text,
      interleaved: false,
    },
    cost: { input: 0, output: 0, cache: { read: 0, write: 0 } },
    limit: { context: 200_000, output: 8_192 },
    status: 'active',
    options: {},
    headers: {},
    release_date: '',
  };
}
