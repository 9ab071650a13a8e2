import { parseQuestionPolicy, type QuestionPolicy } from '../asks/policy.js';
import type { AskOutcome, QuestionAsk } from '../asks/reply.js';
import type { AskBroker } from '../asks/broker.js';
import { parseInput, type RequestOptions } from '../http/request-options.js';
import { questionReplyInputSchema, type QuestionReplyInput, type QuestionRequest } from '../schema/ask.js';

/** The questions of one repository: the model asks the user. A turn waits for the answer without limit. */
export class QuestionsResource {
  readonly #asks: AskBroker;

  /** @internal */
  constructor(asks: AskBroker) {
    this.#asks = asks;
  }

  /**
   * Who answers the questions of this repository, unless a session or a turn has a policy of its own; `undefined`
   * leaves it to the client. A new policy applies to questions that come after it is set. `JarvisOptions.policyScope`
   * says for which sessions.
   *
   * @throws {TypeError} {@link RangeError} if the policy is invalid.
   */
  get policy(): QuestionPolicy | undefined {
    return this.#asks.policies.question?.source;
  }

  set policy(policy: QuestionPolicy | undefined) {
    const question = parseQuestionPolicy('policy', policy);
    this.#asks.policies = { ...this.#asks.policies, question };
  }

  /**
   * Reads the questions that wait for an answer now, whoever runs their sessions. It asks the server each time, so that
   * it also finds those that came while the event stream was down.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  pending(options?: RequestOptions): Promise<QuestionAsk[]> {
    return this.#asks.pending('question', options);
  }

  /**
   * Lists the questions as the server has them. A question of an aborted turn stays listed until the instance is
   * disposed; {@link pending} lists only those that still wait.
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
   * Refuses to answer a question, which ends the turn.
   *
   * @returns `gone` when it is not pending here: unknown, answered, or of another repository.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reject(requestID: string, options?: RequestOptions): Promise<AskOutcome> {
    return this.#asks.settle(requestID, () => this.#asks.api.rejectQuestion(requestID, options));
  }
}
