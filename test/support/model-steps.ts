import type { ModelStep } from '../../src/testing/real/model-steps.js';
import {
  reasoning as thinking,
  text as saying,
  tool,
  type TextOptions,
} from '../../src/testing/script/steps.js';

/** Streams `content` as answer text, in one piece unless `options` say otherwise. */
export function text(content: string, options: TextOptions = {}): ModelStep {
  return saying(content, { chunks: 1, ...options });
}

/** Streams `content` as what the model thinks, in one piece unless `options` say otherwise. */
export function reasoning(content: string, options: TextOptions = {}): ModelStep {
  return thinking(content, { chunks: 1, ...options });
}

/** Calls one of OpenCode's tools, e.g. `toolCall('bash', { command: 'ls', description: 'List files' })`. */
export function toolCall(name: string, input: Readonly<Record<string, unknown>>): ModelStep {
  return tool(name, input);
}
