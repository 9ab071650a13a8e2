import { RequestError, ResponseShapeError } from '../../errors.js';
import type { AskKind } from './reply.js';
import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import {
  permissionListSchema,
  questionListSchema,
  type PermissionReplyInput,
  type PermissionRequest,
  type QuestionReplyInput,
  type QuestionRequest,
} from '../schema/ask.js';
import { messageSchema } from '../schema/message.js';
import { booleanSchema } from '../schema/server.js';
import type { SessionInfo } from '../schema/session.js';
import { isAtWork, readStatuses } from '../sessions/statuses.js';
import { readSession } from '../sessions/read-session.js';

/** The states of a tool call that has ended. */
const ENDED: ReadonlySet<string> = new Set(['completed', 'error']);

/** The requests of sessions, as the server lists them. */
export interface ListedAsks {
  readonly permissions: readonly PermissionRequest[];
  readonly questions: readonly QuestionRequest[];
}

/** Sends the requests about asks of one repository, with its directory: OpenCode answers 404 for any other. */
export class AskApi {
  readonly #transport: RepoTransport;

  constructor(transport: RepoTransport) {
    this.#transport = transport;
  }

  get directory(): string {
    return this.#transport.directory;
  }

  permissions(options?: RequestOptions): Promise<PermissionRequest[]> {
    const schema = permissionListSchema;
    return this.#transport.send({ method: 'GET', path: '/permission', schema }, options);
  }

  questions(options?: RequestOptions): Promise<QuestionRequest[]> {
    const schema = questionListSchema;
    return this.#transport.send({ method: 'GET', path: '/question', schema }, options);
  }

  /** Lists what busy sessions ask: the server goes on listing what an aborted turn asked. */
  async pending(kinds: readonly AskKind[], options?: RequestOptions): Promise<ListedAsks> {
    const [permissions, questions] = await Promise.all([
      kinds.includes('permission') ? this.permissions(options) : [],
      kinds.includes('question') ? this.questions(options) : [],
    ]);
    if (permissions.length + questions.length === 0) return { permissions, questions };
    // The order matters: what was listed before and whose session is busy now still waits.
    const statuses = await readStatuses(this.#transport, options);
    const isBusy = ({ sessionID }: { readonly sessionID: string }): boolean => isAtWork(statuses[sessionID]);
    return { permissions: permissions.filter(isBusy), questions: questions.filter(isBusy) };
  }

  session(sessionID: string, options?: RequestOptions): Promise<SessionInfo> {
    return readSession(this.#transport, sessionID, options);
  }

  /**
   * Asks whether the tool call of a request has ended. OpenCode 1.18.33 goes on listing what an aborted turn asked, takes an answer
   * to it, and rejects with it what the next turn of the session asks.
   */
  async hasEnded(
    { sessionID, tool }: PermissionRequest | QuestionRequest,
    options?: RequestOptions,
  ): Promise<boolean> {
    if (tool === undefined) return false;
    const path = route`/session/${sessionID}/message/${tool.messageID}`;
    try {
      const { parts } = await this.#transport.send({ method: 'GET', path, schema: messageSchema }, options);
      return parts.some(
        (part) => part.type === 'tool' && part.callID === tool.callID && ENDED.has(part.state.status),
      );
    } catch (error) {
      // Nothing is known of the call, so the ask may wait.
      if (error instanceof RequestError || error instanceof ResponseShapeError) return false;
      throw error;
    }
  }

  async replyPermission(
    requestID: string,
    json: PermissionReplyInput,
    options?: RequestOptions,
  ): Promise<void> {
    await this.#post(route`/permission/${requestID}/reply`, json, options);
  }

  async replyQuestion(requestID: string, json: QuestionReplyInput, options?: RequestOptions): Promise<void> {
    await this.#post(route`/question/${requestID}/reply`, json, options);
  }

  async rejectQuestion(requestID: string, options?: RequestOptions): Promise<void> {
    await this.#post(route`/question/${requestID}/reject`, undefined, options);
  }

  async #post(path: string, json: unknown, options: RequestOptions | undefined): Promise<void> {
    await this.#transport.send({ method: 'POST', path, json, schema: booleanSchema }, options);
  }
}

/** Whether the server refused an answer because nobody waits for it: unknown, answered, or of another repository. */
export function isNotPending(error: unknown): boolean {
  if (!(error instanceof RequestError) || error.status !== 404) return false;
  return error.serverError === 'PermissionNotFoundError' || error.serverError === 'QuestionNotFoundError';
}
