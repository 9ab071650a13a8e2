import { LRUCache } from 'lru-cache';
import type { ChosenModel } from '../schema/prompt.js';
import type { SessionInfo } from '../schema/session.js';

/** Who answers a prompt. */
export interface Choice {
  readonly agent?: string | undefined;
  readonly model?: ChosenModel | undefined;
  readonly variant?: string | undefined;
}

interface Own extends Choice {
  /** Whether a prompt has named something else: what the server tells from then on may be that. */
  readonly isFixed: boolean;
}

/** This many sessions are remembered; a forgotten one is asked for again. */
const MAX_SESSIONS = 10_000;
/** What OpenCode 1.18.33 writes where a prompt names no variant. */
const NO_VARIANT = 'default';

/**
 * The agent and model that each session has of its own. OpenCode 1.18.33 runs a prompt without an agent as `build`, whatever
 * the session was created with, and writes the agent and the model of each prompt into the session, the model for later
 * prompts too. So they are sent with each prompt, as they were before the first one that named others.
 */
export class SessionChoices {
  readonly #own = new LRUCache<string, Own>({ max: MAX_SESSIONS });

  /** What a session has of its own; `undefined` when nothing is known of it. */
  of(sessionID: string): Own | undefined {
    return this.#own.get(sessionID);
  }

  /** Takes what the server tells of a session. */
  learn({ id, agent, model }: SessionInfo): void {
    if (this.#own.get(id)?.isFixed === true) return;
    const { providerID, id: modelID, variant = NO_VARIANT } = model ?? {};
    this.#own.set(id, {
      agent,
      model: providerID === undefined || modelID === undefined ? undefined : { providerID, modelID },
      variant: variant === NO_VARIANT ? undefined : variant,
      isFixed: false,
    });
  }

  /** From now on what the server tells of the session may be what a prompt has named for one turn. */
  fix(sessionID: string, model?: ChosenModel): void {
    const own = this.#own.get(sessionID);
    this.#own.set(sessionID, { ...own, model: own?.model ?? model, isFixed: true });
  }

  /** Forgets a session that was deleted. */
  forget(sessionID: string): void {
    this.#own.delete(sessionID);
  }
}
