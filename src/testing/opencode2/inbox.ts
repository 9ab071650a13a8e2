/** When a prompt is delivered: at the next step of the execution, or when all that came before is answered. */
export type Delivery = 'steer' | 'queue';

/** What a client prompts with. */
export interface PromptInput {
  /** @default another one for each prompt */
  readonly id: string | undefined;
  readonly text: string;
  /** The files, agents, skills and metadata, as they were sent. */
  readonly more: Readonly<Record<string, unknown>>;
  readonly delivery: Delivery;
  /** Whether the session begins to work. @default true */
  readonly resume: boolean;
}

/** A prompt that the server has taken. */
export interface InboxItem {
  readonly id: string;
  readonly sessionID: string;
  /** When it was taken; after it is delivered, when it was. Epoch milliseconds. */
  readonly time: { created: number };
  readonly type: 'user';
  readonly payload: Readonly<Record<string, unknown>> & { readonly text: string };
  delivery: Delivery;
}

/** The prompts of a session that are not delivered, and the receipts of all that were taken. */
export class Inbox {
  readonly #items: InboxItem[] = [];
  readonly #receipts = new Map<string, InboxItem>();

  /** What waits, oldest first. */
  get items(): readonly InboxItem[] {
    return this.#items;
  }

  /** The receipt of a prompt that was taken before: the same for every repetition of its id, whatever it says. */
  receipt(id: string): InboxItem | undefined {
    return this.#receipts.get(id);
  }

  get hasSteer(): boolean {
    return this.#items.some(({ delivery }) => delivery === 'steer');
  }

  add(item: InboxItem): void {
    this.#items.push(item);
    this.#receipts.set(item.id, item);
  }

  /** Takes a prompt back that is not delivered, as if it had never been sent; `false` when none with this id waits. */
  cancel(id: string): boolean {
    const index = this.#items.findIndex((item) => item.id === id);
    if (index === -1) return false;
    this.#items.splice(index, 1);
    this.#receipts.delete(id);
    return true;
  }

  /** Takes what is delivered at the next step: all that steers, else the first of the queue. */
  take(): InboxItem[] {
    const steering = this.#items.filter(({ delivery }) => delivery === 'steer');
    const taken = steering.length > 0 ? steering : this.#items.slice(0, 1);
    for (const item of taken) this.#items.splice(this.#items.indexOf(item), 1);
    return taken;
  }
}
