import * as z from 'zod';
import { lazy } from '../../core/lazy.js';

/** A model, by the provider's and its own id. */
export interface ModelRef {
  providerID: string;
  modelID: string;
}

/** A model as it was asked for. */
export interface ChosenModel extends ModelRef {
  readonly variant?: string | undefined;
}

/**
 * A model, in any of the ways in which OpenCode writes one: `'provider/model'` (split at the first slash), as messages have it
 * (`modelID`), or as sessions have it (`id`). A `variant` counts where one can be chosen: for prompts, commands and new sessions.
 */
export type ModelInput =
  | string
  | {
      readonly providerID: string;
      readonly modelID: string;
      /** Name of one of the model's variants, e.g. `high`. */
      readonly variant?: string | undefined;
    }
  | {
      readonly providerID: string;
      /** The model's id, as lists of models name the field. */
      readonly id: string;
      /** Name of one of the model's variants, e.g. `high`. */
      readonly variant?: string | undefined;
    };

const KEYS: ReadonlySet<string> = new Set(['providerID', 'modelID', 'id', 'variant']);

function parseModel(input: unknown): ChosenModel | undefined {
  if (typeof input === 'string') {
    const slash = input.indexOf('/');
    if (slash <= 0 || slash === input.length - 1) return undefined;
    return { providerID: input.slice(0, slash), modelID: input.slice(slash + 1) };
  }
  if (typeof input !== 'object' || input === null) return undefined;
  if (!Object.keys(input).every((key) => KEYS.has(key))) return undefined;
  const { providerID, modelID, id, variant } = input as Record<string, unknown>;
  if (modelID !== undefined && id !== undefined) return undefined;
  const model = modelID ?? id;
  if (typeof providerID !== 'string' || typeof model !== 'string' || !providerID || !model) return undefined;
  if (variant !== undefined && typeof variant !== 'string') return undefined;
  return { providerID, modelID: model, ...(variant !== undefined && { variant }) };
}

/** Takes every way to write a model and gives one. */
export const modelSchema = lazy(
  () =>
    z.unknown().transform((input, context): ChosenModel => {
      const model = parseModel(input);
      if (model !== undefined) return model;
      const message = `expected 'provider/model', { providerID, modelID } or { providerID, id }, got ${JSON.stringify(input)}`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }) as unknown as z.ZodType<ChosenModel, ModelInput>,
);
