import { RequestError, ResponseShapeError } from '../../errors.js';
import { answersOf, permissionReplyOf } from './reply.js';
import type { PermissionDecision, QuestionDecision } from './policy.js';
import type { RequestOptions } from '../http/request-options.js';
import { pathAnywhere, type RepoTransport } from '../http/repo-transport.js';
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
import { sessionSchema, sessionStatusMapSchema, type SessionInfo } from '../schema/session.js';

/** The states of a tool call that waits for nothing. */
const ENDED: ReadonlySet<string> = new Set(['completed', 'error']);

/** Which asks are wanted. */
export interface AskKinds {
  readonly permissions?: boolean;
  readonly questions?: boolean;
}

/** What sessions wait for. */
export interface PendingAsks {
  readonly permissions: readonly PermissionRequest[];
  readonly questions: readonly QuestionRequest[];
}

/** The requests about asks of one repository. Each goes to its own directory: OpenCode answers 404 for any other. */
export class AskWire {
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

  /** What is listed and still waits: the server goes on listing what an aborted turn asked, so its session must be busy. */
  async pending(wanted: AskKinds, options?: RequestOptions): Promise<PendingAsks> {
    const [permissions, questions] = await Promise.all([
      wanted.permissions ? this.permissions(options) : [],
      wanted.questions ? this.questions(options) : [],
    ]);
    if (permissions.length + questions.length === 0) return { permissions, questions };
    // Read after the lists: what was asked then and is busy now still waits.
    const statuses = await this.#transport.send(
      { method: 'GET', path: '/session/status', schema: sessionStatusMapSchema },
      options,
    );
    const isBusy = ({ sessionID }: { readonly sessionID: string }): boolean =>
      (statuses[sessionID]?.type ?? 'idle') !== 'idle';
    return { permissions: permissions.filter(isBusy), questions: questions.filter(isBusy) };
  }

  session(sessionID: string, options?: RequestOptions): Promise<SessionInfo> {
    const path = pathAnywhere(sessionID);
    return this.#transport.send({ method: 'GET', path, schema: sessionSchema }, options);
  }

  /**
   * Whether the tool call that asks has ended. OpenCode 1.18.33 goes on listing what an aborted turn asked, takes an answer to it,
   * and rejects with it what the next turn of the session asks.
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
      // Nothing is known of it: it may wait.
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

  decidePermission(
    { id }: PermissionRequest,
    decision: PermissionDecision,
    options?: RequestOptions,
  ): Promise<void> {
    return this.replyPermission(id, permissionReplyOf(decision), options);
  }

  decideQuestion(
    request: QuestionRequest,
    decision: QuestionDecision,
    options?: RequestOptions,
  ): Promise<void> {
    const answers = answersOf(request, decision);
    if (answers === undefined) return this.rejectQuestion(request.id, options);
    return this.replyQuestion(request.id, { answers }, options);
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
