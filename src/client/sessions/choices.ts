import { LRUCache } from 'lru-cache';
import type { ChosenModel } from '../schema/prompt.js';
import type { SessionInfo } from '../schema/session.js';

/** The agent, model and variant that answer a prompt. */
export interface Choice {
  readonly agent?: string | undefined;
  readonly model?: ChosenModel | undefined;
  readonly variant?: string | undefined;
}

interface Own extends Choice {
  /**
   * Whether a prompt has named another agent or model: from then on the server may report that one as the session's.
   */
  readonly isFixed: boolean;
}

/** How many sessions are remembered. The client asks the server again about a forgotten one. */
const MAX_SESSIONS = 10_000;
/** The variant that OpenCode 1.18.33 stores when a prompt names none. */
const NO_VARIANT = 'default';

/**
 * Remembers each session's own agent and model. OpenCode 1.18.33 runs a prompt without an agent as `build`, whatever
 * the session was created with, and writes the agent and the model of each prompt into the session, the model for later
 * prompts too. So the client sends the session's own with each prompt, as they were before the first prompt that named
 * others.
 */
export class SessionChoices {
  readonly #own = new LRUCache<string, Own>({ max: MAX_SESSIONS });

  /** The session's own agent and model; `undefined` when the client does not know the session. */
  of(sessionID: string): Own | undefined {
    return this.#own.get(sessionID);
  }

  /** Learns the agent and model of a session from the server's data, unless they are fixed. */
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

  /** Fixes what is known: from now on the server may report the agent and model that a prompt named for one turn. */
  fix(sessionID: string, model?: ChosenModel): void {
    const own = this.#own.get(sessionID);
    this.#own.set(sessionID, { ...own, model: own?.model ?? model, isFixed: true });
  }

  /** Forgets a session that was deleted. */
  forget(sessionID: string): void {
    this.#own.delete(sessionID);
  }
}
