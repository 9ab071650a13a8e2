import type { ActivityKind } from '../core/instance.js';

/** Something the server does: a session at work, what one waits for, a terminal. */
export interface ActivityItem {
  readonly id: string;
  /** The session that waits, for what somebody must answer. */
  readonly sessionID?: string | undefined;
}

/** How many of one kind are known by their ids in one directory. However many more there are, they are one hold. */
const MAX_RUNNING = 1_000;
/** How long an id may be, in UTF-16 code units. What has a longer one counts as one more than those known. */
const MAX_ID = 1_000;

/** What the hold of the rest says. */
const REST = `more than ${MAX_RUNNING}, or with ids too long to keep`;

interface Running extends ActivityItem {
  readonly release: () => void;
}

/**
 * What the server does in one directory, each a hold while it lasts. What a session waits for ends with the session's
 * work: OpenCode 1.18.33 goes on listing the permission request of a turn that was aborted.
 */
export class Activities {
  readonly #hold: (kind: ActivityKind, id: string) => () => void;
  readonly #running: Record<ActivityKind, Map<string, Running>> = {
    'session-busy': new Map(),
    permission: new Map(),
    question: new Map(),
    pty: new Map(),
  };

  /** Ends the hold of those that are not known by their ids, for each kind that has any. */
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

  /** Replaces what is known of one kind. */
  replace(kind: ActivityKind, items: readonly ActivityItem[]): void {
    const known = items.filter(isShort).slice(0, MAX_RUNNING);
    const ids = new Set(known.map(({ id }) => id));
    // What begins is held before what has ended is let go of: the instance is not free in between.
    for (const item of known) this.#add(kind, item);
    if (known.length < items.length) this.#holdRest(kind);
    for (const id of [...this.#running[kind].keys()]) if (!ids.has(id)) this.end(kind, id);
    if (known.length === items.length) this.#releaseRest(kind);
  }

  /** Whether there is anything of a kind. */
  has(kind: ActivityKind): boolean {
    return this.#running[kind].size > 0 || this.hasRest(kind);
  }

  /** Whether there were some of a kind that are not known by their ids: only the server can tell when they have ended. */
  hasRest(kind: ActivityKind): boolean {
    return this.#rest.has(kind);
  }

  /** The ids of one kind. */
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
