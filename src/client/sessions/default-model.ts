import { ifSupported } from '../dialect/if-supported.js';
import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { agentListSchema } from '../schema/agents.js';
import { configSchema } from '../schema/config.js';
import type { ChosenModel } from '../schema/prompt.js';
import { modelSchema } from '../schema/model.js';
import { configProvidersSchema } from '../schema/providers.js';

/** The agent that OpenCode runs when none is named. */
export const DEFAULT_AGENT = 'build';

/** Reads the model that is configured for an agent. OpenCode 1.18.33 prefers it to the model of the session. */
export async function readAgentModel(
  transport: RepoTransport,
  name: string = DEFAULT_AGENT,
  options?: RequestOptions,
): Promise<ChosenModel | undefined> {
  const agents = await transport.send({ method: 'GET', path: '/agent', schema: agentListSchema }, options);
  return agents.find((agent) => agent.name === name)?.model;
}

/**
 * Reads the model of a session for which nobody ever chose one: the configured model, else the default of the first
 * provider.
 */
export async function readDefaultModel(
  transport: RepoTransport,
  options?: RequestOptions,
): Promise<ChosenModel | undefined> {
  const request = { method: 'GET', path: '/config', schema: configSchema } as const;
  // OpenCode 2 has no such configuration: its default of the providers is the configured model.
  const config = await ifSupported(transport.send(request, options));
  if (config?.model !== undefined) return modelSchema().parse(config.model);
  const providers = await transport.send(
    { method: 'GET', path: '/config/providers', schema: configProvidersSchema },
    options,
  );
  const [first] = Object.entries(providers.default);
  return first && { providerID: first[0], modelID: first[1] };
}
