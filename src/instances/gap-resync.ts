import PQueue from 'p-queue';
import type { ListedAsks } from '../client/asks/api.js';
import type { DirectoryChange } from '../client/schema/event.js';
import type { Logger } from '../core/logger.js';
import type { InstanceEntry } from '../registry/instance-entry.js';
import type { InstanceRegistry } from '../registry/instance-registry.js';
import type { ActivityReader } from './activity-reader.js';
import { changeOf, isEmptyChange, stateOf, type DirectoryState } from './directory-change.js';

/** How many instances are read at the same time after a gap. */
const CONCURRENCY = 8;

/** What the resync needs from the client around it. */
export interface GapResyncInit {
  readonly registry: InstanceRegistry;
  readonly reader: ActivityReader;
  readonly logger: Logger;
  /** Takes what the sessions of a directory wait for, as read again after a gap; `undefined` when reading failed. */
  readonly asksReread: (directory: string, asks: ListedAsks | undefined) => void;
}

/** Finds out after a gap of the event stream what has changed since subscribers were last told. */
export class GapResync {
  readonly #init: GapResyncInit;
  /** What subscribers knew of each instance when the stream broke, until they are told of the gap; `undefined` while it delivers. */
  #lastTold: Map<string, DirectoryState> | undefined;
  /** Directories whose instance ended with the server since then. */
  readonly #ended = new Set<string>();

  constructor(init: GapResyncInit) {
    this.#init = init;
  }

  /** The stream broke: what is known now is what subscribers were told last. Returns `false` when it was broken already. */
  streamBroke(): boolean {
    if (this.#lastTold !== undefined) return false;
    const loaded = [...this.#init.registry.loadedEntries()];
    this.#lastTold = new Map(loaded.map((entry) => [entry.directory, stateOf(entry)]));
    return true;
  }

  /** The stream delivers, and subscribers were told of the gap. */
  streamDelivers(): void {
    this.#lastTold = undefined;
    this.#ended.clear();
  }

  /** The instance of a directory ended with its server. */
  endedWithServer(directory: string): void {
    this.#ended.add(directory);
  }

  /**
   * Reads every loaded instance again that is held or subscribed to, and returns how everything differs from what subscribers were
   * told last, however often the stream broke since then. An instance that cannot be read keeps its holds and is left out. Nothing else
   * is read: a disposal asks before it begins, and to ask about an instance that was disposed meanwhile would load it.
   *
   * @throws the reason of `signal`.
   */
  async resync(
    isSubscribed: (directory: string) => boolean,
    signal: AbortSignal,
  ): Promise<DirectoryChange[]> {
    const { registry } = this.#init;
    const reading = [...registry.loadedEntries()]
      // A question would load an instance again that is going.
      .filter(
        (entry) => !entry.isDisposing && !entry.isLoading && (entry.isHeld || isSubscribed(entry.directory)),
      )
      .map((entry) => async () => ({ entry, outcome: await this.#reread(entry, signal) }));
    const reads = await new PQueue({ concurrency: CONCURRENCY }).addAll(reading);
    signal.throwIfAborted();
    const outcomes = new Map(reads.map(({ entry, outcome }) => [entry, outcome]));
    const changes: DirectoryChange[] = [];
    for (const entry of registry.entries()) {
      const { directory } = entry;
      const outcome = outcomes.get(entry);
      if (outcome === 'failed') continue;
      const change = changeOf(directory, this.#lastTold?.get(directory), stateOf(entry));
      if (outcome === 'read' || this.#ended.has(directory) || !isEmptyChange(change)) changes.push(change);
    }
    return changes;
  }

  async #reread(entry: InstanceEntry, signal: AbortSignal): Promise<'read' | 'failed' | undefined> {
    const { reader, logger, asksReread } = this.#init;
    const { directory } = entry;
    if (entry.isDisposing || !entry.loaded) return undefined;
    try {
      const activity = await reader.confirmInTime(entry, signal);
      if (activity === undefined) return undefined;
      asksReread(directory, activity);
      return 'read';
    } catch (error) {
      asksReread(directory, undefined);
      if (!signal.aborted) {
        logger.warn('could not read the instance again', { directory, error: String(error) });
      }
      return 'failed';
    }
  }
}
