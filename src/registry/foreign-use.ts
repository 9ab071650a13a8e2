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
    if (!this.#own.has(sessionID)) this.#others.add(sessionID);
  }

  /** Records that this client works with a session. */
  claim(sessionID: string): void {
    this.#own.add(sessionID);
    this.#others.delete(sessionID);
  }

  /** Forgets everything: the instance is gone. */
  clear(): void {
    this.#isLoadedElsewhere = false;
    this.#own.clear();
    this.#others.clear();
  }
}
