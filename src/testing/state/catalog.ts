import type { Agent } from '../../client/schema/agents.js';
import type { ServerErrorInfo } from '../../client/schema/message.js';
import type { ModelRef } from '../../client/schema/prompt.js';
import type { Model, Provider } from '../../client/schema/providers.js';

/** A prompt for an agent or a model that there is not: nobody answers it. */
export class PromptRefusedError extends Error {
  override readonly name = 'PromptRefusedError';
  /** What the server tells of it at once. */
  readonly info: ServerErrorInfo;
  /** What it tells once more to whoever did not wait for the answer; a real server adds its stack. */
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

/** The agents and models of a server: its own, and those of the test. */
export class Catalog {
  readonly agents: readonly Agent[];
  readonly providers: readonly Provider[];

  /** @throws {TypeError} for a model that is not written as `provider/model`. */
  constructor(agents: readonly string[], models: readonly string[]) {
    const own = agents.map((name) => agentOf(name, 'all', false));
    this.agents = [...AGENTS.map(([name, mode]) => agentOf(name, mode, true)), ...own];
    const byProvider = new Map<string, string[]>();
    for (const { providerID, modelID } of ['mock/mock', ...models].map(parseModel)) {
      byProvider.set(providerID, [...(byProvider.get(providerID) ?? []), modelID]);
    }
    this.providers = [...byProvider].map(([id, modelIDs]) => providerOf(id, modelIDs));
  }

  /** The first model of each provider. */
  get defaultModels(): Record<string, string> {
    return Object.fromEntries(this.providers.map(({ id, models }) => [id, Object.keys(models)[0] ?? '']));
  }

  hasAgent(name: string): boolean {
    return this.agents.some((agent) => agent.name === name);
  }

  /** @throws {PromptRefusedError} when there is no such agent. */
  assertAgent(name: string): void {
    if (this.hasAgent(name)) return;
    const names = this.agents.map((agent) => agent.name).sort();
    throw new PromptRefusedError(
      `Agent not found: ${JSON.stringify(name)}. Available agents: ${names.join(', ')}`,
      'UnknownError: UnknownError',
    );
  }

  /** @throws {PromptRefusedError} when there is no such model. */
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
