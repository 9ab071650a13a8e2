/** How many sessions of this client it remembers for an instance; the ones that were used last. */
const MAX_OWN = 10_000;
/** From so many sessions of others on, one of them stays seen until the instance is gone. */
const MAX_OTHERS = 1_000;

/** Tracks whether anybody but this client uses an instance: another client of the server, or the server itself. */
export class ForeignUse {
  #isLoadedElsewhere = false;
  /** Sessions that this client works with. */
  readonly #own = new Set<string>();
  /** Sessions seen in the instance to which this client has sent nothing. */
  readonly #others = new Set<string>();

  /** Whether somebody else loaded the instance or works with a session there. */
  get isSeen(): boolean {
    return this.#isLoadedElsewhere || this.#others.size > 0;
  }

  /** Records that the instance was, or may have been, loaded without this client. */
  loadedElsewhere(): void {
    this.#isLoadedElsewhere = true;
  }

  /** Records a session that was created or is at work in the instance. */
  saw(sessionID: string): void {
    if (this.#own.has(sessionID)) return;
    if (this.#others.size < MAX_OTHERS) this.#others.add(sessionID);
    else this.#isLoadedElsewhere = true;
  }

  /** Records that this client works with a session. */
  claim(sessionID: string): void {
    this.#own.delete(sessionID);
    this.#own.add(sessionID);
    const [oldest] = this.#own;
    if (this.#own.size > MAX_OWN && oldest !== undefined) this.#own.delete(oldest);
    this.#others.delete(sessionID);
  }

  /** Forgets everything: the instance is gone. */
  clear(): void {
    this.#isLoadedElsewhere = false;
    this.#own.clear();
    this.#others.clear();
  }
}
