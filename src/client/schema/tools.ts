import * as z from 'zod';
import { wire } from './wire.js';

export const toolIDListSchema = z.array(z.string());

/** A tool as it is described to a model. */
export interface ToolListItem {
  id: string;
  description: string;
  /** The JSON Schema of its input. */
  parameters: unknown;
}
export const toolListSchema = wire<ToolListItem[]>(z.array(z.looseObject({ id: z.string() })));

export const listToolsInputSchema = z.strictObject({
  provider: z.string().min(1),
  model: z.string().min(1),
});
/** Which model the tools are for, by the ids of the provider and the model. */
export type ListToolsInput = z.infer<typeof listToolsInputSchema>;
