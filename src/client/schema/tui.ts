import * as z from 'zod';
import { wire } from './wire.js';

export const tuiAppendPromptInputSchema = z.strictObject({ text: z.string() });
/** What to write into the prompt. */
export type TuiAppendPromptInput = z.infer<typeof tuiAppendPromptInputSchema>;

export const tuiExecuteCommandInputSchema = z.strictObject({ command: z.string().min(1) });
/** A command of the TUI. */
export type TuiExecuteCommandInput = z.infer<typeof tuiExecuteCommandInputSchema>;

export const tuiShowToastInputSchema = z.strictObject({
  title: z.string().optional(),
  message: z.string(),
  variant: z.enum(['info', 'success', 'warning', 'error']),
  duration: z.number().int().positive().optional(),
});
/** A short notice. `duration` is in milliseconds. */
export type TuiShowToastInput = z.infer<typeof tuiShowToastInputSchema>;

export const tuiSelectSessionInputSchema = z.strictObject({ sessionID: z.string().startsWith('ses') });
/** The session to show. */
export type TuiSelectSessionInput = z.infer<typeof tuiSelectSessionInputSchema>;

export const tuiPublishInputSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('tui.prompt.append'), properties: tuiAppendPromptInputSchema }),
  z.strictObject({ type: z.literal('tui.command.execute'), properties: tuiExecuteCommandInputSchema }),
  z.strictObject({ type: z.literal('tui.toast.show'), properties: tuiShowToastInputSchema }),
  z.strictObject({ type: z.literal('tui.session.select'), properties: tuiSelectSessionInputSchema }),
]);
/** An event for the TUI, a union on `type`. */
export type TuiPublishInput = z.infer<typeof tuiPublishInputSchema>;

/** What was asked of the TUI: the path of an operation, and its body. */
export interface TuiControlRequest {
  path: string;
  body: unknown;
}
export const tuiControlRequestSchema = wire<TuiControlRequest>(z.looseObject({ path: z.string() }));
