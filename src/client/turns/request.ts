import { parseInput } from '../http/request-options.js';
import type { Choice } from '../sessions/choices.js';
import {
  commandInputSchema,
  contextInputSchema,
  initInputSchema,
  promptInputSchema,
  shellInputSchema,
  type CommandInput,
  type InitInput,
  type ModelRef,
  type ParsedPrompt,
  type AnswerFormat,
  type PromptInput,
  type ShellInput,
} from '../schema/prompt.js';
import { parseFormat, type ParsedFormat } from './format.js';

/** The request that begins a turn: a route of the session and its body. */
export interface TurnRequest {
  readonly route: 'prompt_async' | 'command' | 'shell' | 'init';
  /** The agent and model that the caller names; `undefined` where the session has no influence on them. */
  readonly choice: Choice | undefined;
  /** Whether it may store another agent and model in the session than those it names. */
  readonly isCommand: boolean;
  /** Makes the body from the id of the new user message and the agent and model that answer. */
  readonly body: (messageID: string, choice: Choice) => object;
  /**
   * Whether the server answers only when the turn has ended. The library does not wait for such an answer: Node's
   * `fetch` gives up on one that takes longer than 300 s.
   */
  readonly isBlocking: boolean;
  /**
   * Whether a second arrival has no further effect. When OpenCode 1.18.33 knows the message id of a prompt, it appends
   * the parts, but replaces those whose part id it knows. The parts that it makes of files and mentions always get new
   * ids.
   */
  readonly isRepeatable: boolean;
  /** The format of the answer, if the caller asks for an object. */
  readonly format?: ParsedFormat | undefined;
}

/** @throws {TypeError} for an invalid prompt, and for one with a format, because nothing answers it. */
export function parseContext(input: string | Omit<PromptInput, 'format'>): ParsedPrompt {
  if (typeof input === 'string') return parsePrompt(input);
  return parseInput(contextInputSchema, 'context', input);
}

/** @throws {TypeError} for an invalid prompt. */
function parsePrompt(input: string | PromptInput): ParsedPrompt {
  if (typeof input === 'string') return { parts: [{ type: 'text', text: input }] };
  return parseInput(promptInputSchema, 'prompt', input);
}

/** @throws {TypeError} for an invalid prompt, and for two formats. */
export function promptRequest(
  input: string | PromptInput,
  formatOption: AnswerFormat | undefined,
): TurnRequest {
  const { agent, model, variant, format: ownFormat, ...body } = parsePrompt(input);
  if (ownFormat !== undefined && formatOption !== undefined) {
    throw new TypeError('Invalid prompt: it has a format, and so have its options. Give one of them.');
  }
  const format = parseFormat(ownFormat ?? formatOption);
  const isRepeatable = body.parts.every((part) => part.type === 'text');
  return {
    route: 'prompt_async',
    choice: { agent, model, variant },
    isCommand: false,
    body: (messageID, choice) => ({
      ...body,
      ...choiceBody(choice),
      parts: isRepeatable
        ? body.parts.map((part, index) => ({ ...part, id: partID(messageID, index) }))
        : body.parts,
      messageID,
      ...(format && { format: format.wire }),
    }),
    isBlocking: false,
    isRepeatable,
    format,
  };
}

/** @throws {TypeError} for an invalid command. */
export function commandRequest(input: CommandInput): TurnRequest {
  const { agent, model, variant, ...rest } = parseInput(commandInputSchema, 'command', input);
  return {
    ...blockingRequest('command', {}),
    choice: { agent, model, variant },
    isCommand: true,
    body: (messageID, choice) => {
      const { model: chosen, ...others } = choiceBody(choice);
      // This route alone takes a model as one string.
      const modelText = chosen === undefined ? {} : { model: `${chosen.providerID}/${chosen.modelID}` };
      return { arguments: '', ...rest, ...others, ...modelText, messageID };
    },
  };
}

/**
 * @param defaultAgent - in whose name a command line without an agent is recorded.
 * @throws {TypeError} for an invalid shell command.
 */
export function shellRequest(input: ShellInput, defaultAgent: string): TurnRequest {
  const { agent = defaultAgent, ...rest } = parseInput(shellInputSchema, 'shell command', input);
  return blockingRequest('shell', { agent, ...rest });
}

/** @throws {TypeError} for an invalid model. */
export function initRequest(input: InitInput): TurnRequest {
  const model = parseInput(initInputSchema, 'init', input);
  return { ...blockingRequest('init', model), choice: { model }, isCommand: true };
}

/** The agent and model that answer, as the server names these fields. */
export function choiceBody({ agent, model, variant }: Choice): {
  agent?: string;
  model?: ModelRef;
  variant?: string;
} {
  const chosen = variant ?? model?.variant;
  return {
    ...(agent !== undefined && { agent }),
    ...(model !== undefined && { model: { providerID: model.providerID, modelID: model.modelID } }),
    ...(chosen !== undefined && { variant: chosen }),
  };
}

function blockingRequest(route: TurnRequest['route'], body: object): TurnRequest {
  return {
    route,
    choice: undefined,
    isCommand: false,
    body: (messageID) => ({ ...body, messageID }),
    isBlocking: true,
    isRepeatable: false,
  };
}

/**
 * Makes a message id. It tells this turn's answer from others, and the server keeps one prompt of that id, however
 * often it arrives.
 */
export function newMessageID(): string {
  // Does not use `randomUUID()`: a page loaded by plain http from another machine does not have it.
  const words = crypto.getRandomValues(new Uint32Array(4));
  return `msg_${Array.from(words, (word) => word.toString(16).padStart(8, '0')).join('')}`;
}

/**
 * Makes a part id. The server sorts parts by id, so these keep the parts in their order, before those that it adds
 * itself.
 */
function partID(messageID: string, index: number): string {
  return `prt_${String(index).padStart(8, '0')}${messageID.replace('msg_', '')}`;
}
