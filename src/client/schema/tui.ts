import { z } from 'zod';
import { wire } from './wire.js';

const textSchema = z.strictObject({ text: z.string() });
export { textSchema as tuiAppendPromptInputSchema };
/** What to write into the prompt. */
export type TuiAppendPromptInput = z.infer<typeof textSchema>;

const commandSchema = z.strictObject({ command: z.string().min(1) });
export { commandSchema as tuiExecuteCommandInputSchema };
/** A command of the TUI. */
export type TuiExecuteCommandInput = z.infer<typeof commandSchema>;

const toastSchema = z.strictObject({
  title: z.string().optional(),
  message: z.string(),
  variant: z.enum(['info', 'success', 'warning', 'error']),
  duration: z.number().int().positive().optional(),
});
export { toastSchema as tuiShowToastInputSchema };
/** A short notice. `duration` is in milliseconds. */
export type TuiShowToastInput = z.infer<typeof toastSchema>;

const selectSessionSchema = z.strictObject({ sessionID: z.string().startsWith('ses') });
export { selectSessionSchema as tuiSelectSessionInputSchema };
/** The session to show. */
export type TuiSelectSessionInput = z.infer<typeof selectSessionSchema>;

export const tuiPublishInputSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('tui.prompt.append'), properties: textSchema }),
  z.strictObject({ type: z.literal('tui.command.execute'), properties: commandSchema }),
  z.strictObject({ type: z.literal('tui.toast.show'), properties: toastSchema }),
  z.strictObject({ type: z.literal('tui.session.select'), properties: selectSessionSchema }),
]);
/** An event for the TUI, a union on `type`. */
export type TuiPublishInput = z.infer<typeof tuiPublishInputSchema>;

/** What somebody asked of the TUI: the path of the operation and its body. */
export interface TuiControlRequest {
  path: string;
  body: unknown;
}
export const tuiControlRequestSchema = wire<TuiControlRequest>(z.looseObject({ path: z.string() }));
