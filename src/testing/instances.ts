import type { SessionStatus } from '../client/schema/session.js';
import type { EventBus, Place } from './event-bus.js';
import { moment } from './moment.js';
import type { RunningTurn } from './running-turn.js';

/** What is known of the instance of one directory. */
export interface MockInstance {
  readonly directory: string;
  readonly loaded: boolean;
  /** How often it was loaded. */
  readonly boots: number;
  /** How often it was disposed. */
  readonly disposals: number;
}

/** The state the server keeps for one directory, loaded by the first request for it. */
export class Instance implements Place {
  readonly directory: string;
  readonly projectID: string;
  /** The turns that have not ended, by session id. */
  readonly turns = new Map<string, RunningTurn>();
  loaded = false;
  boots = 0;
  disposals = 0;
  /** The first prompts of an instance wait for this. */
  warmUp: Promise<void> | 'done' | undefined;
  disposal: Promise<void> | undefined;

  constructor(place: Place) {
    this.directory = place.directory;
    this.projectID = place.projectID;
  }

  /** The sessions that are not idle. */
  statuses(): Record<string, SessionStatus> {
    const busy = [...this.turns].filter(([, turn]) => turn.isBusy);
    return Object.fromEntries(busy.map(([sessionID]) => [sessionID, { type: 'busy' } as const]));
  }
}

/** The instances of all directories. */
export class Instances {
  readonly #events: EventBus;
  readonly #projectOf: (directory: string) => string;
  readonly #byDirectory = new Map<string, Instance>();

  constructor(events: EventBus, projectOf: (directory: string) => string) {
    this.#events = events;
    this.#projectOf = projectOf;
  }

  /** The instance of a directory; loads it if it is not. */
  use(directory: string): Instance {
    let instance = this.#byDirectory.get(directory);
    if (instance === undefined) {
      instance = new Instance({ directory, projectID: this.#projectOf(directory) });
      this.#byDirectory.set(directory, instance);
    }
    if (!instance.loaded) {
      instance.loaded = true;
      instance.boots += 1;
      const now = Date.now();
      const { projectID } = instance;
      // No event tells of the boot itself; this one comes with it.
      this.#events.emit({ directory: 'global', projectID }, 'project.updated', {
        id: projectID,
        worktree: directory,
        vcs: 'git',
        sandboxes: [],
        time: { created: now, updated: now },
      });
    }
    return instance;
  }

  /** Aborts what runs in the instance and unloads it, a moment after it was asked for; resolves when that is told. */
  dispose(instance: Instance): Promise<void> {
    instance.disposal ??= this.#dispose(instance);
    return instance.disposal;
  }

  /** Disposes every loaded instance; resolves when all are gone. */
  async disposeAll(): Promise<void> {
    const loaded = [...this.#byDirectory.values()].filter((instance) => instance.loaded);
    await Promise.all(loaded.map((instance) => this.dispose(instance)));
    this.#events.emit(undefined, 'global.disposed', {});
  }

  /** The turns that have not ended, in all instances. */
  turns(): RunningTurn[] {
    return [...this.#byDirectory.values()].flatMap((instance) => [...instance.turns.values()]);
  }

  list(): MockInstance[] {
    return [...this.#byDirectory.values()].map(({ directory, loaded, boots, disposals }) => ({
      directory,
      loaded,
      boots,
      disposals,
    }));
  }

  async #dispose(instance: Instance): Promise<void> {
    await moment();
    await Promise.all([...instance.turns.values()].map((turn) => turn.abort()));
    instance.loaded = false;
    instance.disposals += 1;
    instance.warmUp = undefined;
    instance.disposal = undefined;
    this.#events.emit(instance, 'server.instance.disposed', { directory: instance.directory });
  }
}
