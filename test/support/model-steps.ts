import { httpError, type ModelStep } from '../../src/testing/real/model-steps.js';
import {
  reasoning as thinking,
  text as saying,
  tool,
  type TextOptions,
} from '../../src/testing/script/steps.js';

export { cut, type ModelStep as Step } from '../../src/testing/real/model-steps.js';
export {
  hang,
  usage,
  wait,
  waitFor,
  type TextOptions as StreamingOptions,
} from '../../src/testing/script/steps.js';

/** Streams `content` as answer text, in one piece unless told otherwise. */
export function text(content: string, options: TextOptions = {}): ModelStep {
  return saying(content, { chunks: 1, ...options });
}

/** Streams `content` as what the model thinks, in one piece unless told otherwise. */
export function reasoning(content: string, options: TextOptions = {}): ModelStep {
  return thinking(content, { chunks: 1, ...options });
}

/** Calls one of OpenCode's tools, e.g. `toolCall('bash', { command: 'ls', description: 'List files' })`. */
export function toolCall(name: string, input: Readonly<Record<string, unknown>>): ModelStep {
  return tool(name, input);
}

/** Answers with an HTTP error; only as the first step. */
export const fail = httpError;
