import type { StepEntry, StepError, ToolContent, UserEntry, StepModel } from './wire.js';

// The data of the events of OpenCode 2.0.14, as far as it is read; no document of the server describes it.

/** What the data of the events of one session have in common. */
export interface SessionData {
  readonly sessionID: string;
}
export interface StepData extends SessionData {
  readonly assistantMessageID: string;
}

export interface CreatedData extends SessionData {
  readonly parentID?: string;
  readonly projectID?: string;
  readonly slug?: string;
  readonly version?: string;
  readonly title?: string;
  readonly agent?: string;
  readonly model?: StepModel;
  readonly location?: { readonly directory: string };
}
export interface InboxData {
  readonly inboxID: string;
  readonly item: { readonly type: string; readonly payload: Pick<UserEntry, 'text' | 'files' | 'agents'> };
}
export interface RetryData {
  readonly attempt: number;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly error: StepError;
}
export interface StepStarted extends StepData {
  readonly agent: string;
  readonly model: StepModel;
  readonly started?: number;
}
export type StepEnd = Pick<StepEntry, 'finish' | 'cost' | 'tokens' | 'error'>;
export interface TextData extends StepData {
  readonly ordinal: number;
  readonly delta?: string;
  readonly text?: string;
}
export interface ToolData extends StepData {
  /** Id of the call. */
  readonly id: string;
  readonly name?: string;
  readonly input?: Record<string, unknown>;
  readonly content?: readonly ToolContent[];
  readonly metadata?: Record<string, unknown>;
  readonly error?: StepError;
}
export interface FormOutcome extends SessionData {
  readonly id: string;
  readonly answer?: Readonly<Record<string, unknown>>;
}
