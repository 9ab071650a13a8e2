import { deferred, type Deferred } from '../../core/abort.js';
import type { PermissionReplyInput, PermissionRequest, QuestionRequest } from '../../client/schema/ask.js';
import type { PermissionRule } from '../../client/schema/session.js';
import type { EventBus, EventScope } from './event-bus.js';
import type { Ids } from './ids.js';
import { decide, type PermissionNeed } from './permission-rules.js';

/** The answer to a permission request. */
export interface PermissionOutcome {
  readonly reply: PermissionReplyInput['reply'];
  /** The feedback of a rejection to the model. */
  readonly message: string | undefined;
}

/** The answers to a question; `undefined` when it was dismissed. */
export type QuestionOutcome = readonly (readonly string[])[] | undefined;

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
  readonly #events: EventBus;
  readonly #ids: Ids;
  readonly #permissions = new Map<string, Pending<PermissionRequest, PermissionOutcome>>();
  readonly #questions = new Map<string, Pending<QuestionRequest, QuestionOutcome>>();
  /** The rules of the answers `always`, until the instance is disposed. */
  #approved: PermissionRule[] = [];

  constructor(scope: EventScope, events: EventBus, ids: Ids) {
    this.#scope = scope;
    this.#events = events;
    this.#ids = ids;
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
    const pending = this.#questions.get(requestID);
    if (pending === undefined) return false;
    this.#questions.delete(requestID);
    const { sessionID } = pending.request;
    if (answers === undefined) this.#events.emit(this.#scope, 'question.rejected', { sessionID, requestID });
    else this.#events.emit(this.#scope, 'question.replied', { sessionID, requestID, answers });
    pending.answered.resolve(answers);
    return true;
  }

  /** Forgets the pending requests and the answers of `always`, because the instance is disposed. */
  clear(): void {
    this.#permissions.clear();
    this.#questions.clear();
    this.#approved = [];
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
