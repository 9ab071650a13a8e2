import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

export const tuiAppendPromptInputSchema = lazy(() => z.strictObject({ text: z.string() }));
/** What to write into the prompt. @useDeclaredType */
export type TuiAppendPromptInput = z.infer<ReturnType<typeof tuiAppendPromptInputSchema>>;

export const tuiExecuteCommandInputSchema = lazy(() => z.strictObject({ command: z.string().min(1) }));
/** A command of the TUI. @useDeclaredType */
export type TuiExecuteCommandInput = z.infer<ReturnType<typeof tuiExecuteCommandInputSchema>>;

export const tuiShowToastInputSchema = lazy(() =>
  z.strictObject({
    title: z.string().optional(),
    message: z.string(),
    variant: z.enum(['info', 'success', 'warning', 'error']),
    duration: z.number().int().positive().optional(),
  }),
);
/** A short notice. `duration` is in milliseconds. @useDeclaredType */
export type TuiShowToastInput = z.infer<ReturnType<typeof tuiShowToastInputSchema>>;

export const tuiSelectSessionInputSchema = lazy(() =>
  z.strictObject({ sessionID: z.string().startsWith('ses') }),
);
/** The session to show. @useDeclaredType */
export type TuiSelectSessionInput = z.infer<ReturnType<typeof tuiSelectSessionInputSchema>>;

export const tuiPublishInputSchema = lazy(() =>
  z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('tui.prompt.append'), properties: tuiAppendPromptInputSchema() }),
    z.strictObject({ type: z.literal('tui.command.execute'), properties: tuiExecuteCommandInputSchema() }),
    z.strictObject({ type: z.literal('tui.toast.show'), properties: tuiShowToastInputSchema() }),
    z.strictObject({ type: z.literal('tui.session.select'), properties: tuiSelectSessionInputSchema() }),
  ]),
);
/** An event for the TUI, a union on `type`. @useDeclaredType */
export type TuiPublishInput = z.infer<ReturnType<typeof tuiPublishInputSchema>>;

/** What was asked of the TUI: the path of an operation, and its body. */
export interface TuiControlRequest {
  path: string;
  body: unknown;
}
export const tuiControlRequestSchema = lazy(() =>
  wire<TuiControlRequest>(z.looseObject({ path: z.string() })),
);
