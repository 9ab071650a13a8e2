import { isActive, type AskPolicies } from './policy.js';
import type { Ask } from './reply.js';

const NO_POLICIES: AskPolicies = { permission: undefined, question: undefined };

/** A turn of this client, from its prompt to its end. */
export interface TurnAsks {
  readonly sessionID: string;
  readonly policies: AskPolicies;
  /** Takes an ask that no policy answers. */
  deliver(ask: Ask): void;
  /** Whether the turn has a reader. */
  hasReader(): boolean;
  /** Aborts when the turn is to end: from then on no policy answers for it. */
  readonly abortRequested: AbortSignal;
  /** Whether it has begun before: what the session already waits for is delivered to it, too. */
  readonly isJoining: boolean;
  /** Whether it stops listening before its end, so that what it waits for goes on waiting. */
  hasLeft(): boolean;
}

export interface PolicyResolverInit {
  /** The client's policies. */
  readonly policies: AskPolicies;
  readonly isWithin: (sessionID: string, rootID: string) => boolean;
  /** Whether the policies of client and repository answer for a session that no turn of this client runs. */
  readonly answersFor: (sessionID: string) => boolean;
}

/** Finds the policies that apply to a session of one repository. */
export class PolicyResolver {
  /** The turns that run now. */
  readonly turns = new Set<TurnAsks>();
  /** The policies of the repository. */
  repo = NO_POLICIES;
  readonly #init: PolicyResolverInit;
  readonly #sessions = new Map<string, AskPolicies>();

  constructor(init: PolicyResolverInit) {
    this.#init = init;
  }

  /** Whether the client, the repository or a session has a policy that answers by itself. */
  get isActive(): boolean {
    return [this.#init.policies, this.repo, ...this.#sessions.values()].some(isActive);
  }

  /** The policies of one session and its children. */
  ofSession(sessionID: string): AskPolicies {
    return this.#sessions.get(sessionID) ?? NO_POLICIES;
  }

  setSession(sessionID: string, policies: AskPolicies): void {
    this.#sessions.set(sessionID, policies);
  }

  /** Forgets a session that was deleted. */
  forget(sessionID: string): void {
    this.#sessions.delete(sessionID);
  }

  /** The policies that apply to what a session asks, most specific first. */
  of(sessionID: string): AskPolicies[] {
    const { isWithin, answersFor, policies } = this.#init;
    const turns = this.turnsOf(sessionID);
    const sessions = [...this.#sessions]
      .filter(([rootID]) => isWithin(sessionID, rootID))
      .sort(([a], [b]) => (isWithin(a, b) ? -1 : 1));
    const isOurs = turns.length > 0 || answersFor(sessionID);
    return [
      ...turns.map((turn) => turn.policies),
      ...sessions.map(([, own]) => own),
      ...(isOurs ? [this.repo, policies] : []),
    ];
  }

  /** Whether the session works for a turn that is to end. */
  isAbortRequested(sessionID: string): boolean {
    return this.turnsOf(sessionID).some(({ abortRequested }) => abortRequested.aborted);
  }

  /** The turns that run the session or a parent of it, nearest first. */
  turnsOf(sessionID: string): TurnAsks[] {
    const { isWithin } = this.#init;
    return [...this.turns]
      .filter((turn) => isWithin(sessionID, turn.sessionID))
      .sort((a, b) => (isWithin(a.sessionID, b.sessionID) ? -1 : 1));
  }
}
