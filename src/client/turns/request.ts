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

/** What begins a turn: a route of the session and what is sent to it. */
export interface TurnRequest {
  readonly route: 'prompt_async' | 'command' | 'shell' | 'init';
  /** The body, with the id of the user message it makes. */
  readonly body: (messageID: string) => object;
  /**
   * Whether the server answers only when the turn has ended. Such an answer is not waited for: Node's `fetch` gives up on
   * one that takes longer than 300 s.
   */
  readonly isBlocking: boolean;
  /**
   * Whether it does the same when it arrives twice. OpenCode 1.18.33 appends the parts of a prompt whose message id it knows, but
   * replaces those whose part id it knows; what it makes of files and mentions always gets new ids.
   */
  readonly isRepeatable: boolean;
}

/** @throws {TypeError} for an invalid prompt. */
export function parsePrompt(input: string | PromptInput): PromptInput {
  if (typeof input === 'string') return { parts: [{ type: 'text', text: input }] };
  return parseInput(promptInputSchema, 'prompt', input);
}

/** @throws {TypeError} for an invalid prompt. */
export function promptRequest(input: string | PromptInput): TurnRequest {
  const body = parsePrompt(input);
  const isRepeatable = body.parts.every((part) => part.type === 'text');
  return {
    route: 'prompt_async',
    body: (messageID) => ({
      ...body,
      parts: isRepeatable
        ? body.parts.map((part, index) => ({ ...part, id: partID(messageID, index) }))
        : body.parts,
      messageID,
    }),
    isBlocking: false,
    isRepeatable,
  };
}

/** @throws {TypeError} for an invalid command. */
export function commandRequest(input: CommandInput): TurnRequest {
  const { model, ...rest } = parseInput(commandInputSchema, 'command', input);
  // This route alone takes a model as one string.
  const modelText = model === undefined ? {} : { model: `${model.providerID}/${model.modelID}` };
  return blockingRequest('command', { arguments: '', ...rest, ...modelText });
}

/** @throws {TypeError} for an invalid shell command. */
export function shellRequest(input: ShellInput): TurnRequest {
  return blockingRequest('shell', parseInput(shellInputSchema, 'shell command', input));
}

/** @throws {TypeError} for an invalid model. */
export function initRequest(input: InitInput): TurnRequest {
  return blockingRequest('init', parseInput(initInputSchema, 'init', input));
}

function blockingRequest(route: TurnRequest['route'], body: object): TurnRequest {
  return { route, body: (messageID) => ({ ...body, messageID }), isBlocking: true, isRepeatable: false };
}

/** The server sorts parts by id: ours stay in their order, before what it adds itself. */
function partID(messageID: string, index: number): string {
  return `prt_${String(index).padStart(8, '0')}${messageID.replace('msg_', '')}`;
}
