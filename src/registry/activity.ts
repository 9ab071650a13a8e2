import type { ActivityKind } from '../instance.js';

/** Something the server does: a session at work, what one waits for, a terminal. */
export interface ActivityItem {
  readonly id: string;
  /** The session that waits, for what somebody must answer. */
  readonly sessionID?: string | undefined;
}

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

  constructor(hold: (kind: ActivityKind, id: string) => () => void) {
    this.#hold = hold;
  }

  begin(kind: ActivityKind, item: ActivityItem): void {
    const running = this.#running[kind];
    if (!running.has(item.id)) running.set(item.id, { ...item, release: this.#hold(kind, item.id) });
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
    const ids = new Set(items.map(({ id }) => id));
    for (const item of items) this.begin(kind, item);
    for (const id of [...this.#running[kind].keys()]) if (!ids.has(id)) this.end(kind, id);
  }

  /** The ids of one kind. */
  ids(kind: ActivityKind): string[] {
    return [...this.#running[kind].keys()];
  }

  clear(): void {
    for (const kind of Object.keys(this.#running) as ActivityKind[]) this.replace(kind, []);
  }
}
