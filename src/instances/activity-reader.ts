import type { ListedAsks } from '../client/asks/api.js';
import type { Http } from '../client/http/http.js';
import {
  hasBrokenConfig,
  readPermissions,
  readQuestions,
  readRunningPtys,
  readSessionStatuses,
} from '../client/instances/api.js';
import { AbortScope } from '../core/abort.js';
import { TimeoutError } from '../errors.js';
import type { InstanceEntry } from '../registry/instance-entry.js';

/** How many milliseconds reading one instance may take when no caller waits for it. */
const READ_LIMIT_MS = 10_000;

/** What the server does in one directory, and what its busy sessions wait for. */
export interface Activity extends ListedAsks {
  /** Sessions that work, wait for an answer or for their provider; children included. */
  readonly busySessions: readonly string[];
  /** `undefined` when they are known and were not asked for. */
  readonly runningPtys: readonly string[] | undefined;
}

/** What the reader needs from the client around it. */
export interface ActivityReaderInit {
  readonly http: Http;
  /** Refuses a directory that has become another one: the server would answer for the other. */
  readonly assertSame: (directory: string) => void;
  /** Called when the holds of an instance were corrected. */
  readonly onConfirmed?: ((entry: InstanceEntry) => void) | undefined;
}

/** Asks the server what it does in loaded instances, and corrects their holds by the answer. */
export class ActivityReader {
  readonly #init: ActivityReaderInit;

  constructor(init: ActivityReaderInit) {
    this.#init = init;
  }

  /**
   * Reads what the server does in an instance and makes it the holds of the instance. An instance that is not loaded is not asked
   * about, because that would load it.
   *
   * @returns `undefined` when the instance is not loaded, or turns out to be gone.
   * @throws when it cannot be read; the instance has an `unknown` hold then.
   */
  async confirm(entry: InstanceEntry, signal: AbortSignal): Promise<Activity | undefined> {
    this.#init.assertSame(entry.directory);
    while (entry.loaded) {
      const { activityVersion, streamEpoch } = entry;
      const activity = await this.#readOrMark(entry, signal);
      if (activity === undefined) return undefined;
      // An event that came meanwhile may be newer than this answer.
      if (entry.activityVersion !== activityVersion || !entry.loaded) continue;
      entry.replaceActivity('session-busy', activity.busySessions.map(toItem));
      entry.replaceActivity('permission', activity.permissions);
      entry.replaceActivity('question', activity.questions);
      if (activity.runningPtys !== undefined) {
        entry.replaceActivity('pty', activity.runningPtys.map(toItem));
        entry.markPtysSynced(streamEpoch);
      }
      this.#init.onConfirmed?.(entry);
      return activity;
    }
    return undefined;
  }

  /**
   * The same within 10 s.
   *
   * @throws {TimeoutError} with phase `events` when it takes longer.
   */
  async confirmInTime(entry: InstanceEntry, signal: AbortSignal): Promise<Activity | undefined> {
    const scope = new AbortScope([signal], {
      timeoutMs: READ_LIMIT_MS,
      reason: (timeoutMs) => new TimeoutError('Reading the instance again', { phase: 'events', timeoutMs }),
    });
    try {
      return await this.confirm(entry, scope.signal);
    } finally {
      scope.end();
    }
  }

  /** Returns `undefined` when the server cannot load the instance: whatever it had loaded there is gone. */
  async #readOrMark(entry: InstanceEntry, signal: AbortSignal): Promise<Activity | undefined> {
    try {
      const activity = await this.#read(entry, signal);
      entry.clearUnknown();
      return activity;
    } catch (error) {
      if (hasBrokenConfig(error)) {
        entry.markBroken(error);
        return undefined;
      }
      entry.markUnknown(`its state could not be read: ${String(error)}`);
      throw error;
    }
  }

  async #read(entry: InstanceEntry, signal: AbortSignal): Promise<Activity> {
    const { http } = this.#init;
    const { directory } = entry;
    const [statuses, runningPtys] = await Promise.all([
      readSessionStatuses(http, directory, signal),
      entry.ptysSynced ? undefined : readRunningPtys(http, directory, signal),
    ]);
    const busySessions = Object.entries(statuses)
      .filter(([, status]) => status.type !== 'idle')
      .map(([sessionID]) => sessionID);
    // Another client may have disposed the instance meanwhile; one more question would load it again.
    if (busySessions.length === 0 || !entry.loaded)
      return { busySessions, permissions: [], questions: [], runningPtys };
    const [permissions, questions] = await Promise.all([
      readPermissions(http, directory, signal),
      readQuestions(http, directory, signal),
    ]);
    const busy = new Set(busySessions);
    // OpenCode 1.18.33 lists what an aborted turn has asked until the instance is disposed.
    const isPending = ({ sessionID }: { readonly sessionID: string }): boolean => busy.has(sessionID);
    return {
      busySessions,
      permissions: permissions.filter(isPending),
      questions: questions.filter(isPending),
      runningPtys,
    };
  }
}

function toItem(id: string): { readonly id: string } {
  return { id };
}
