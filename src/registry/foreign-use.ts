/** What tells whether somebody else uses an instance: another client of the server, or the server by itself. */
export class ForeignUse {
  #isLoadedElsewhere = false;
  /** Sessions that this client works with. */
  readonly #own = new Set<string>();
  /** Sessions that were seen there, and to which this client has sent nothing. */
  readonly #others = new Set<string>();

  /** Whether somebody else loaded the instance, or a session there is not one of this client. */
  get isSeen(): boolean {
    return this.#isLoadedElsewhere || this.#others.size > 0;
  }

  /** Notes that the instance was loaded, or may have been, without this client. */
  loadedElsewhere(): void {
    this.#isLoadedElsewhere = true;
  }

  /** Notes a session that was created or is at work there. */
  saw(sessionID: string): void {
    if (!this.#own.has(sessionID)) this.#others.add(sessionID);
  }

  /** Notes that this client works with a session. */
  claim(sessionID: string): void {
    this.#own.add(sessionID);
    this.#others.delete(sessionID);
  }

  /** The instance is gone, and with it what was seen there. */
  clear(): void {
    this.#isLoadedElsewhere = false;
    this.#own.clear();
    this.#others.clear();
  }
}
