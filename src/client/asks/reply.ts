import {
  parsePermissionDecision,
  parseQuestionDecision,
  type PermissionDecision,
  type QuestionDecision,
} from './policy.js';
import type { RequestOptions } from '../http/request-options.js';
import type { PermissionReplyInput, PermissionRequest, QuestionRequest } from '../schema/ask.js';

/**
 * What became of an answer: `answered` when it counts; `gone` when the request was not pending any more, because somebody had
 * answered it, its turn had ended, or its instance was disposed. Then it changed nothing.
 */
export type AskOutcome = 'answered' | 'gone';

/** What the model reads at a refusal without a message of the caller's own. */
const DENIED = 'The user does not allow this. Go on without it, or say why you cannot.';
const NOT_ANSWERED = 'The user does not answer questions. Decide for yourself and say how you decided.';

/** Sends a decision. */
export type Reply<Decision> = (decision: Decision, options?: RequestOptions) => Promise<AskOutcome>;

/**
 * A permission request that waits for an answer, as a step of a turn or of `repo.permissions.pending()`. Each answer
 * resolves with what became of it, see {@link AskOutcome}, and may come twice or late.
 */
export class PermissionAsk {
  readonly type = 'permission' as const;
  readonly request: PermissionRequest;
  /** The repository whose session asks. */
  readonly directory: string;
  readonly #reply: Reply<PermissionDecision>;

  /** @internal */
  constructor(request: PermissionRequest, directory: string, reply: Reply<PermissionDecision>) {
    this.request = request;
    this.directory = directory;
    this.#reply = reply;
  }

  /**
   * Answers as `decision` says.
   *
   * @throws {TypeError} if the decision is invalid; nothing was sent then.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reply(decision: PermissionDecision, options?: RequestOptions): Promise<AskOutcome> {
    return this.#reply(parsePermissionDecision('decision', decision), options);
  }

  /**
   * Lets this call run.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  allow(options?: RequestOptions): Promise<AskOutcome> {
    return this.reply('allow', options);
  }

  /**
   * Lets this call run, and what `request.always` names from now on, until the instance is disposed.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  always(options?: RequestOptions): Promise<AskOutcome> {
    return this.reply('always', options);
  }

  /**
   * Refuses this call and tells the model so, which goes on.
   *
   * @param message - what the model reads; by default that the user does not allow it.
   * @throws {TypeError} for an empty message: OpenCode would end the turn.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  deny(message?: string, options?: RequestOptions): Promise<AskOutcome> {
    return this.reply(message === undefined ? 'deny' : { deny: message }, options);
  }

  /**
   * Refuses this call and ends the turn. OpenCode rejects every pending request of the session with it.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  stop(options?: RequestOptions): Promise<AskOutcome> {
    return this.reply('stop', options);
  }
}

/**
 * A question request that waits for an answer, as a step of a turn or of `repo.questions.pending()`. Each answer resolves
 * with what became of it, see {@link AskOutcome}, and may come twice or late.
 */
export class QuestionAsk {
  readonly type = 'question' as const;
  readonly request: QuestionRequest;
  /** The repository whose session asks. */
  readonly directory: string;
  readonly #reply: Reply<QuestionDecision>;

  /** @internal */
  constructor(request: QuestionRequest, directory: string, reply: Reply<QuestionDecision>) {
    this.request = request;
    this.directory = directory;
    this.#reply = reply;
  }

  /**
   * Answers as `decision` says.
   *
   * @throws {TypeError} if the decision does not fit these questions; nothing was sent then.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reply(decision: QuestionDecision, options?: RequestOptions): Promise<AskOutcome> {
    return this.#reply(parseQuestionDecision('decision', decision, this.request.questions.length), options);
  }

  /**
   * Answers: for each question the chosen labels, or free text.
   *
   * @throws {TypeError} unless there is one list of texts per question.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  answer(answers: readonly (readonly string[])[], options?: RequestOptions): Promise<AskOutcome> {
    return this.reply({ answers }, options);
  }

  /**
   * Refuses to answer and tells the model so, which goes on.
   *
   * @param message - what the model reads; by default that it should decide for itself.
   * @throws {TypeError} for an empty message.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  deny(message?: string, options?: RequestOptions): Promise<AskOutcome> {
    return this.reply(message === undefined ? 'deny' : { deny: message }, options);
  }

  /**
   * Refuses to answer, which ends the turn.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  stop(options?: RequestOptions): Promise<AskOutcome> {
    return this.reply('stop', options);
  }
}

/** What a session asks. */
export type Ask = PermissionAsk | QuestionAsk;
export type AskKind = Ask['type'];

/** The body of the request for a decision. */
export function permissionReplyOf(decision: PermissionDecision): PermissionReplyInput {
  switch (decision) {
    case 'allow':
      return { reply: 'once' };
    case 'always':
      return { reply: 'always' };
    case 'stop':
      return { reply: 'reject' };
    case 'deny':
      return { reply: 'reject', message: DENIED };
    default:
      return { reply: 'reject', message: decision.deny };
  }
}

/** The answers of a decision as the server takes them; `undefined` if it rejects the request. */
export function decisionAnswers(
  request: QuestionRequest,
  decision: QuestionDecision,
): string[][] | undefined {
  if (decision === 'stop') return undefined;
  if (typeof decision === 'object' && 'answers' in decision) return decision.answers.map((list) => [...list]);
  const text = decision === 'deny' ? NOT_ANSWERED : decision.deny;
  return request.questions.map(() => [text]);
}
