import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

export const toolIDListSchema = lazy(() => z.array(z.string()));

/** A tool as it is described to a model. */
export interface ToolListItem {
  id: string;
  description: string;
  /** The JSON Schema of its input. */
  parameters: unknown;
}
export const toolListSchema = lazy(() => wire<ToolListItem[]>(z.array(z.looseObject({ id: z.string() }))));

export const listToolsInputSchema = lazy(() =>
  z.strictObject({
    provider: z.string().min(1),
    model: z.string().min(1),
  }),
);
/** Which model the tools are for, by the ids of the provider and the model. @useDeclaredType */
export type ListToolsInput = z.infer<ReturnType<typeof listToolsInputSchema>>;
