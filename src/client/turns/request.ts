import { parseInput } from '../options.js';
import {
  commandInputSchema,
  initInputSchema,
  promptInputSchema,
  shellInputSchema,
  type CommandInput,
  type InitInput,
  type PromptInput,
  type ShellInput,
} from '../schema/prompt.js';

/** What begins a turn: a route of the session and its body, to which the engine adds a message id. */
export interface TurnRequest {
  readonly route: 'prompt_async' | 'command' | 'shell' | 'init';
  readonly body: object;
  /**
   * Whether the server answers only when the turn has ended. Such an answer is not waited for: Node's `fetch` gives up on
   * one that takes longer than 300 s.
   */
  readonly isBlocking: boolean;
}

/** @throws {TypeError} for an invalid prompt. */
export function promptRequest(input: string | PromptInput): TurnRequest {
  const body =
    typeof input === 'string'
      ? { parts: [{ type: 'text', text: input }] }
      : parseInput(promptInputSchema, 'prompt', input);
  return { route: 'prompt_async', body, isBlocking: false };
}

/** @throws {TypeError} for an invalid command. */
export function commandRequest(input: CommandInput): TurnRequest {
  const { model, ...rest } = parseInput(commandInputSchema, 'command', input);
  // This route alone takes a model as one string.
  const modelText = model === undefined ? {} : { model: `${model.providerID}/${model.modelID}` };
  return { route: 'command', body: { arguments: '', ...rest, ...modelText }, isBlocking: true };
}

/** @throws {TypeError} for an invalid shell command. */
export function shellRequest(input: ShellInput): TurnRequest {
  return { route: 'shell', body: parseInput(shellInputSchema, 'shell command', input), isBlocking: true };
}

/** @throws {TypeError} for an invalid model. */
export function initRequest(input: InitInput): TurnRequest {
  return { route: 'init', body: parseInput(initInputSchema, 'init', input), isBlocking: true };
}
