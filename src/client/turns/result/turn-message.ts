import type { Problem } from '../../../errors.js';
import type { PermissionRequest, QuestionRequest } from '../../schema/ask.js';
import type { TurnStepOf } from '../steps/turn-step.js';
import type { TurnResult } from './turn-result.js';

/** A permission request or a question of a turn that somebody else follows. Answer it through an endpoint of the application. */
export type RemoteAsk =
  | { readonly type: 'permission'; readonly request: PermissionRequest; readonly directory: string }
  | { readonly type: 'question'; readonly request: QuestionRequest; readonly directory: string };

/** One step of a turn that somebody else follows: a {@link TurnStep} as JSON. @useDeclaredType */
export type RemoteTurnStep = TurnStepOf<RemoteAsk>;

/** What one event of the response says: a step, or how the turn ended. */
export type TurnMessage =
  { readonly step: RemoteTurnStep } | { readonly result: TurnResult } | { readonly error: Problem };
