import type { RepoTransport } from '../http/repo-transport.js';
import type { RequestOptions } from '../http/request-options.js';
import type { TurnRequest } from '../turns/request.js';
import type { Choice, SessionChoices } from './choices.js';
import { readAgentModel, readDefaultModel } from './default-model.js';

/** What the choice of who answers needs of the session. */
export interface AnsweringSession {
  readonly id: string;
  /** Makes sure that the session belongs to its repository. */
  verify(options?: RequestOptions): Promise<void>;
  /** Reads the session, from which the choices learn. */
  refresh(options?: RequestOptions): Promise<unknown>;
}

/**
 * Makes sure that the session belongs to its repository, and decides who answers: the agent and model that the prompt names, else
 * the session's own. Asks the server only when it knows nothing about the session, or when a prompt names another agent or model
 * for the first time.
 */
export async function chooseAnswerer(
  session: AnsweringSession,
  { choices, transport }: { readonly choices: SessionChoices; readonly transport: RepoTransport },
  { choice, isCommand }: Pick<TurnRequest, 'choice' | 'isCommand'>,
  options: RequestOptions | undefined,
): Promise<Choice> {
  const { id } = session;
  const isKnown = choices.of(id) !== undefined;
  await session.verify(options);
  if (choice === undefined) return {};
  if (choices.of(id) === undefined) await session.refresh(options);
  const isOther =
    isCommand ||
    choice.model !== undefined ||
    choice.variant !== undefined ||
    (choice.agent !== undefined && choice.agent !== choices.of(id)?.agent);
  const wasFixed = choices.of(id)?.isFixed === true;
  if (isOther && !wasFixed) {
    // Another prompt may have given the session a model since.
    if (isKnown) await session.refresh(options);
    choices.fix(id);
  }
  const own = choices.of(id);
  const agent = choice.agent ?? own?.agent;
  if (choice.model !== undefined) return { ...choice, agent };
  const variant = choice.variant ?? (isOther ? undefined : own?.variant);
  if (own === undefined || !wasFixed) return { agent, variant };
  // The model that an earlier turn left in the session does not count; the model configured for the agent does.
  const isOwnAgent = agent === own.agent;
  if (isOwnAgent && own.model !== undefined) return { agent, model: own.model, variant };
  const configured = await readAgentModel(transport, agent, options);
  const model = configured ?? own.model ?? (await readDefaultModel(transport, options));
  if (isOwnAgent) choices.fix(id, model);
  return { agent, model, variant };
}
