import * as z from 'zod';
import { parseInput, type RequestOptions } from '../options.js';
import type { RepoTransport } from '../repo-transport.js';
import { route } from '../route.js';
import {
  questionReplyInputSchema,
  questionRequestSchema,
  type QuestionReplyInput,
  type QuestionRequest,
} from '../schema/ask.js';
import { booleanSchema } from '../schema/server.js';

const questionListSchema = z.array(questionRequestSchema);

/** What the model asks the user of one repository. A turn waits, without limit, until it is answered. */
export class QuestionsResource {
  readonly #transport: RepoTransport;

  /** @internal */
  constructor(transport: RepoTransport) {
    this.#transport = transport;
  }

  /**
   * Lists the pending questions. One of an aborted turn stays listed until the instance is disposed.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<QuestionRequest[]> {
    return this.#transport.send({ method: 'GET', path: '/question', schema: questionListSchema }, options);
  }

  /**
   * Answers a question of this repository.
   *
   * @throws {RequestError} with status 404 when it is not pending here: unknown, answered, or of another repository.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reply(requestID: string, input: QuestionReplyInput, options?: RequestOptions): Promise<void> {
    const json = parseInput(questionReplyInputSchema, 'question reply', input);
    await this.#transport.send(
      { method: 'POST', path: route`/question/${requestID}/reply`, json, schema: booleanSchema },
      options,
    );
  }

  /**
   * Refuses to answer, which ends the turn.
   *
   * @throws {RequestError} with status 404 when it is not pending here: unknown, answered, or of another repository.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reject(requestID: string, options?: RequestOptions): Promise<void> {
    await this.#transport.send(
      { method: 'POST', path: route`/question/${requestID}/reject`, schema: booleanSchema },
      options,
    );
  }
}
