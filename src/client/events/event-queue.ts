/** A first-in first-out queue: taking the next item takes the same time however many wait. */
export class EventQueue<T> {
  #incoming: T[] = [];
  #outgoing: T[] = [];
  /** Index of the next item in `outgoing`. */
  #next = 0;

  get size(): number {
    return this.#incoming.length + this.#outgoing.length - this.#next;
  }

  push(item: T): void {
    this.#incoming.push(item);
  }

  shift(): T | undefined {
    if (this.#next === this.#outgoing.length) {
      if (this.#incoming.length === 0) return undefined;
      this.#outgoing = this.#incoming;
      this.#incoming = [];
      this.#next = 0;
    }
    return this.#outgoing[this.#next++];
  }

  clear(): void {
    this.#incoming = [];
    this.#outgoing = [];
    this.#next = 0;
  }
}
