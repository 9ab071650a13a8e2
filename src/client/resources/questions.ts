import { parseQuestionPolicy, type QuestionPolicy } from '../asks/policy.js';
import type { AskOutcome, QuestionAsk } from '../asks/reply.js';
import type { AskBroker } from '../asks/broker.js';
import { parseInput, type RequestOptions } from '../http/request-options.js';
import { questionReplyInputSchema, type QuestionReplyInput, type QuestionRequest } from '../schema/ask.js';

/** What the model asks the user of one repository. A turn waits, without limit, until it is answered. */
export class QuestionsResource {
  readonly #asks: AskBroker;

  /** @internal */
  constructor(asks: AskBroker) {
    this.#asks = asks;
  }

  /**
   * Who answers the questions of this repository, unless a session or a turn has a policy of its own; `undefined` leaves it
   * to the client. What is set holds for questions that come from then on. `JarvisOptions.policyScope` says for which
   * sessions.
   *
   * @throws {TypeError} {@link RangeError} for what is no policy.
   */
  get policy(): QuestionPolicy | undefined {
    return this.#asks.policies.question?.source;
  }

  set policy(policy: QuestionPolicy | undefined) {
    const question = parseQuestionPolicy('policy', policy);
    this.#asks.policies = { ...this.#asks.policies, question };
  }

  /**
   * The questions that wait for an answer now, whoever runs their sessions. Read from the server each time, so that nothing
   * that came while the event stream was down is missing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  pending(options?: RequestOptions): Promise<QuestionAsk[]> {
    return this.#asks.pending('question', options);
  }

  /**
   * Lists what the server has, as it is. One of an aborted turn stays listed until the instance is disposed, see
   * {@link pending}.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<QuestionRequest[]> {
    return this.#asks.api.questions(options);
  }

  /**
   * Answers a question of this repository by its id.
   *
   * @returns `gone` when it is not pending here: unknown, answered, or of another repository.
   * @throws {TypeError} {@link RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reply(requestID: string, input: QuestionReplyInput, options?: RequestOptions): Promise<AskOutcome> {
    const json = parseInput(questionReplyInputSchema, 'question reply', input);
    return this.#asks.settle(requestID, () => this.#asks.api.replyQuestion(requestID, json, options));
  }

  /**
   * Refuses to answer, which ends the turn.
   *
   * @returns `gone` when it is not pending here: unknown, answered, or of another repository.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reject(requestID: string, options?: RequestOptions): Promise<AskOutcome> {
    return this.#asks.settle(requestID, () => this.#asks.api.rejectQuestion(requestID, options));
  }
}
