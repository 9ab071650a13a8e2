import type { Ask } from './reply.js';

/** Asks that are settled are remembered up to this many: OpenCode 1.18.33 lists those of an aborted turn for ever. */
const MAX_SETTLED = 1_000;
/** So many may wait at a time; an honest server has as many as it has sessions at work. */
const MAX_PENDING = 1_000;
/** So long may they be together, as JSON in characters; a permission request may show a whole diff. */
const MAX_PENDING_CHARACTERS = 64 * 1024 * 1024;

/** An ask that waits for an answer. */
export interface PendingAsk {
  readonly ask: Ask;
  /** Aborts when no answer is needed any more. */
  readonly settled: AbortSignal;
  /** Whether a caller who can answer it has seen it. */
  isShown: boolean;
  /** Whether no policy answers it, so that it is left to the readers of its turns. */
  isDelivered: boolean;
}

interface Entry extends PendingAsk {
  readonly settling: AbortController;
  /** Characters of the request as JSON. */
  readonly length: number;
}

/** The asks of one repository that wait for an answer, and the ids of those that do not any more. */
export class PendingAsks {
  readonly #pending = new Map<string, Entry>();
  readonly #settled = new Set<string>();
  /** Characters of all that wait. */
  #length = 0;
  readonly #onExcess: (ask: Ask) => void;

  /** @param onExcess - called with each ask that is not added because too many wait. */
  constructor(onExcess: (ask: Ask) => void) {
    this.#onExcess = onExcess;
  }

  get ids(): readonly string[] {
    return [...this.#pending.keys()];
  }

  list(): readonly PendingAsk[] {
    return [...this.#pending.values()];
  }

  has(requestID: string): boolean {
    return this.#pending.has(requestID);
  }

  isSettled(requestID: string): boolean {
    return this.#settled.has(requestID);
  }

  /** Adds an ask; `undefined` when it is known already, settled, or one too many. */
  add(ask: Ask): PendingAsk | undefined {
    const { id } = ask.request;
    if (this.#pending.has(id) || this.#settled.has(id)) return undefined;
    const { length } = JSON.stringify(ask.request);
    if (this.#pending.size >= MAX_PENDING || this.#length + length > MAX_PENDING_CHARACTERS) {
      this.#onExcess(ask);
      return undefined;
    }
    const settling = new AbortController();
    const entry = { ask, settling, settled: settling.signal, isShown: false, isDelivered: false, length };
    this.#pending.set(id, entry);
    this.#length += length;
    return entry;
  }

  /** Notes that a caller sees the ask. @returns the ask that was added before under its id, if there is one. */
  show<A extends Ask>(ask: A): A {
    const entry = this.#pending.get(ask.request.id);
    if (entry === undefined) return ask;
    entry.isShown = true;
    return entry.ask as A;
  }

  /** Notes that nobody waits for an answer any more, for whatever reason. */
  settle(requestID: string): void {
    this.#settled.delete(requestID);
    this.#settled.add(requestID);
    const [oldest] = this.#settled;
    if (this.#settled.size > MAX_SETTLED && oldest !== undefined) this.#settled.delete(oldest);
    const entry = this.#pending.get(requestID);
    if (entry === undefined) return;
    this.#pending.delete(requestID);
    this.#length -= entry.length;
    entry.settling.abort();
  }

  settleWhere(matches: (request: Ask['request']) => boolean): void {
    for (const [id, { ask }] of this.#pending) if (matches(ask.request)) this.settle(id);
  }

  /** Drops what waits without calling it settled: it may be added again. */
  clear(): void {
    for (const { settling } of this.#pending.values()) settling.abort();
    this.#pending.clear();
    this.#length = 0;
  }
}
