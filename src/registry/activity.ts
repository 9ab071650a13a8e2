import type { ActivityKind } from '../core/instance.js';

/** One activity of the server: a session at work, a request or question that a session waits for, or a terminal. */
export interface ActivityItem {
  readonly id: string;
  /** For a permission request or a question: the session that waits for the answer. */
  readonly sessionID?: string | undefined;
}

/**
 * How many activities of one kind the client keeps by id per directory. All others of that kind (the rest) share one
 * hold.
 */
const MAX_RUNNING = 1_000;
/** The longest id that the client keeps, in UTF-16 code units. An activity with a longer id belongs to the rest. */
const MAX_ID = 1_000;

/** The detail of the hold that the rest shares. */
const REST = `more than ${MAX_RUNNING}, or with ids too long to keep`;

interface Running extends ActivityItem {
  readonly release: () => void;
}

/**
 * The activities of the server in one directory. Each holds the instance while it lasts. When a session ends its work,
 * its requests and questions end too: OpenCode 1.18.33 goes on listing the permission request of a turn that was
 * aborted.
 */
export class Activities {
  readonly #hold: (kind: ActivityKind, id: string) => () => void;
  readonly #running: Record<ActivityKind, Map<string, Running>> = {
    'session-busy': new Map(),
    permission: new Map(),
    question: new Map(),
    pty: new Map(),
  };

  /** Per kind with a rest: the function that ends the hold of the rest. */
  readonly #rest = new Map<ActivityKind, () => void>();

  constructor(hold: (kind: ActivityKind, id: string) => () => void) {
    this.#hold = hold;
  }

  begin(kind: ActivityKind, item: ActivityItem): void {
    const running = this.#running[kind];
    if (running.has(item.id)) return;
    if (running.size < MAX_RUNNING && isShort(item)) this.#add(kind, item);
    else this.#holdRest(kind);
  }

  end(kind: ActivityKind, id: string): void {
    const running = this.#running[kind].get(id);
    if (kind === 'session-busy') {
      for (const ask of ['permission', 'question'] as const) {
        for (const { id: askID, sessionID } of [...this.#running[ask].values()]) {
          if (sessionID === id) this.end(ask, askID);
        }
      }
    }
    this.#running[kind].delete(id);
    running?.release();
  }

  /** Replaces all activities of one kind. */
  replace(kind: ActivityKind, items: readonly ActivityItem[]): void {
    const known = items.filter(isShort).slice(0, MAX_RUNNING);
    const ids = new Set(known.map(({ id }) => id));
    // New holds begin before old ones end, so the instance is never free in between.
    for (const item of known) this.#add(kind, item);
    if (known.length < items.length) this.#holdRest(kind);
    for (const id of [...this.#running[kind].keys()]) if (!ids.has(id)) this.end(kind, id);
    if (known.length === items.length) this.#releaseRest(kind);
  }

  /** Whether any activity of a kind is under way. */
  has(kind: ActivityKind): boolean {
    return this.#running[kind].size > 0 || this.hasRest(kind);
  }

  /** Whether a kind has a rest, activities without a known id. Only the server knows when they have ended. */
  hasRest(kind: ActivityKind): boolean {
    return this.#rest.has(kind);
  }

  /** The known ids of one kind. */
  ids(kind: ActivityKind): string[] {
    return [...this.#running[kind].keys()];
  }

  clear(): void {
    for (const kind of Object.keys(this.#running) as ActivityKind[]) this.replace(kind, []);
  }

  #add(kind: ActivityKind, item: ActivityItem): void {
    const running = this.#running[kind];
    if (!running.has(item.id)) running.set(item.id, { ...item, release: this.#hold(kind, item.id) });
  }

  #holdRest(kind: ActivityKind): void {
    if (!this.#rest.has(kind)) this.#rest.set(kind, this.#hold(kind, REST));
  }

  #releaseRest(kind: ActivityKind): void {
    const release = this.#rest.get(kind);
    this.#rest.delete(kind);
    release?.();
  }
}

function isShort({ id, sessionID = '' }: ActivityItem): boolean {
  return id.length <= MAX_ID && sessionID.length <= MAX_ID;
}
