import { deferred, type Deferred } from '../../core/abort.js';
import type { PermissionReplyInput, PermissionRequest, QuestionRequest } from '../../client/schema/ask.js';
import type { PermissionRule } from '../../client/schema/session.js';
import type { EventScope, ServerEvents } from './server-events.js';
import type { Ids } from './ids.js';
import { decide, type PermissionNeed } from './permission-rules.js';

/** The answer to a permission request. */
export interface PermissionOutcome {
  readonly reply: PermissionReplyInput['reply'];
  /** The feedback of a rejection to the model. */
  readonly message: string | undefined;
  /** Whether the server rejects it itself, because the instance ends. @default false */
  readonly isCancelled?: boolean;
}

/** The answers to a question; `undefined` when it was dismissed, `cancelled` when the instance ended. */
export type QuestionOutcome = readonly (readonly string[])[] | 'cancelled' | undefined;

interface Pending<Request, Outcome> {
  readonly request: Request;
  readonly answered: Deferred<Outcome>;
  readonly rules: readonly PermissionRule[];
}

/** The tool call that asks. */
interface Asker {
  readonly sessionID: string;
  readonly tool: { readonly messageID: string; readonly callID: string };
}

/** The pending requests of one instance. A request of an aborted turn stays pending, as in OpenCode 1.18.33. */
export class Asks {
  readonly #scope: EventScope;
  readonly #events: ServerEvents;
  readonly #ids: Ids;
  readonly #permissions = new Map<string, Pending<PermissionRequest, PermissionOutcome>>();
  readonly #questions = new Map<string, Pending<QuestionRequest, QuestionOutcome>>();
  /** The rules of the answers `always`. */
  readonly #approved: PermissionRule[];
  readonly #forgetsApproved: boolean;

  /** @param saved - the answers `always` that outlive the instance. @default they last until it is disposed */
  constructor(scope: EventScope, events: ServerEvents, ids: Ids, saved?: PermissionRule[]) {
    this.#scope = scope;
    this.#events = events;
    this.#ids = ids;
    this.#approved = saved ?? [];
    this.#forgetsApproved = saved === undefined;
  }

  permissions(): PermissionRequest[] {
    return [...this.#permissions.values()].map(({ request }) => request);
  }

  questions(): QuestionRequest[] {
    return [...this.#questions.values()].map(({ request }) => request);
  }

  /** Whether these rules, and earlier answers of `always`, allow a tool call. */
  decide(rules: readonly PermissionRule[], need: PermissionNeed): PermissionRule['action'] {
    return decide([...rules, ...this.#approved], need);
  }

  /** Asks for a permission; resolves when it is answered. */
  askPermission(
    { sessionID, tool }: Asker,
    rules: readonly PermissionRule[],
    need: PermissionNeed,
  ): Promise<PermissionOutcome> {
    const request: PermissionRequest = {
      id: this.#ids.next('per'),
      sessionID,
      permission: need.permission,
      patterns: [...need.patterns],
      metadata: { ...need.metadata },
      always: [...need.always],
      tool,
    };
    const answered = deferred<PermissionOutcome>();
    this.#permissions.set(request.id, { request, answered, rules });
    this.#events.emit(this.#scope, 'permission.asked', request);
    return answered.promise;
  }

  /** Asks a question; resolves when it is answered or dismissed. */
  askQuestion({ sessionID, tool }: Asker, questions: QuestionRequest['questions']): Promise<QuestionOutcome> {
    const request: QuestionRequest = { id: this.#ids.next('que'), sessionID, questions, tool };
    const answered = deferred<QuestionOutcome>();
    this.#questions.set(request.id, { request, answered, rules: [] });
    this.#events.emit(this.#scope, 'question.asked', request);
    return answered.promise;
  }

  /** Answers a permission request; `false` when none with this id is pending. */
  replyPermission(requestID: string, { reply, message }: PermissionReplyInput): boolean {
    const pending = this.#permissions.get(requestID);
    if (pending === undefined) return false;
    this.#settlePermission(pending, { reply, message });
    const { sessionID, permission, always } = pending.request;
    const others = [...this.#permissions.values()].filter((one) => one.request.sessionID === sessionID);
    if (reply === 'reject') {
      // A rejection rejects every pending request of the session.
      for (const other of others) this.#settlePermission(other, { reply, message: undefined });
    } else if (reply === 'always') {
      this.#approved.push(...always.map((pattern) => ({ permission, pattern, action: 'allow' as const })));
      for (const other of others) {
        const isAllowed = decide([...other.rules, ...this.#approved], other.request) === 'allow';
        if (isAllowed) this.#settlePermission(other, { reply, message: undefined });
      }
    }
    return true;
  }

  /** Answers a question, or dismisses it without answers; `false` when none with this id is pending. */
  replyQuestion(requestID: string, answers: string[][] | undefined): boolean {
    return this.#settleQuestion(requestID, answers);
  }

  /** Rejects all pending requests, because the instance ends; the turns that asked go on. */
  cancelAll(): void {
    for (const pending of this.#permissions.values()) {
      this.#settlePermission(pending, { reply: 'reject', message: undefined, isCancelled: true });
    }
    for (const { request } of this.#questions.values()) this.#settleQuestion(request.id, 'cancelled');
  }

  /** Takes back the pending requests of a session whose turn is aborted. */
  withdraw(sessionID: string): void {
    for (const { request } of this.#permissions.values())
      if (request.sessionID === sessionID) this.#permissions.delete(request.id);
    for (const { request } of this.#questions.values()) {
      if (request.sessionID !== sessionID) continue;
      this.#questions.delete(request.id);
      this.#events.emit(this.#scope, 'question.rejected', { sessionID, requestID: request.id });
    }
  }

  /** Forgets what does not outlive the instance, because it is disposed. */
  clear(): void {
    this.#permissions.clear();
    this.#questions.clear();
    if (this.#forgetsApproved) this.#approved.length = 0;
  }

  #settleQuestion(requestID: string, answers: string[][] | 'cancelled' | undefined): boolean {
    const pending = this.#questions.get(requestID);
    if (pending === undefined) return false;
    this.#questions.delete(requestID);
    const { sessionID } = pending.request;
    if (answers === undefined || answers === 'cancelled')
      this.#events.emit(this.#scope, 'question.rejected', { sessionID, requestID });
    else this.#events.emit(this.#scope, 'question.replied', { sessionID, requestID, answers });
    pending.answered.resolve(answers);
    return true;
  }

  #settlePermission(
    pending: Pending<PermissionRequest, PermissionOutcome>,
    outcome: PermissionOutcome,
  ): void {
    const { id: requestID, sessionID } = pending.request;
    this.#permissions.delete(requestID);
    this.#events.emit(this.#scope, 'permission.replied', { sessionID, requestID, reply: outcome.reply });
    pending.answered.resolve(outcome);
  }
}
