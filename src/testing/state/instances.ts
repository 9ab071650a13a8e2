import type { Clock } from '../../core/clock.js';
import type { SessionStatus } from '../../client/schema/session.js';
import { Asks } from './asks.js';
import type { EventBus, EventScope } from './event-bus.js';
import type { Ids } from './ids.js';
import { nextMacrotask } from '../next-macrotask.js';
import { sleep } from '../sleep.js';
import { Ptys } from './ptys.js';
import { CONNECTION_LOST, type MockTerminalProgram } from './terminal.js';

/** What is known of the instance of one directory. */
export interface MockInstance {
  readonly directory: string;
  readonly loaded: boolean;
  /** How often it was loaded. */
  readonly boots: number;
  /** How often it was disposed. */
  readonly disposals: number;
}

/** Work of a session: it is busy until the work has ended. */
export interface SessionWork {
  readonly status: SessionStatus;
  /** Ends it; resolves when everything about its end is stored and told. */
  abort(): Promise<void>;
  /** Ends it at once; nothing is stored or told any more. */
  kill(): void;
}

/** What every instance is made with. */
export interface InstanceInit {
  readonly events: EventBus;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly projectOf: (directory: string) => string;
  /** What runs in the terminals. */
  readonly terminal: MockTerminalProgram;
  /** Aborts when the mock is closed. */
  readonly closed: AbortSignal;
}

/** The state the server keeps for one directory, loaded by the first request for it. */
export class Instance implements EventScope {
  readonly directory: string;
  readonly projectID: string;
  readonly asks: Asks;
  readonly ptys: Ptys;
  /** What has not ended, by session id. */
  readonly work = new Map<string, SessionWork>();
  loaded = false;
  boots = 0;
  disposals = 0;
  /** The first prompts of an instance wait for this. */
  warmUp: Promise<void> | 'done' | undefined;
  disposal: Promise<void> | undefined;

  constructor(directory: string, { events, ids, projectOf, terminal }: InstanceInit) {
    this.directory = directory;
    this.projectID = projectOf(directory);
    this.asks = new Asks(this, events, ids);
    this.ptys = new Ptys(this, events, ids, terminal);
  }

  /** The sessions that are not idle. */
  statuses(): Record<string, SessionStatus> {
    const statuses = [...this.work].map(([sessionID, { status }]) => [sessionID, status] as const);
    return Object.fromEntries(statuses.filter(([, { type }]) => type !== 'idle'));
  }

  isBusy(sessionID: string): boolean {
    return (this.work.get(sessionID)?.status.type ?? 'idle') !== 'idle';
  }

  /**
   * Forgets what only memory holds.
   *
   * @param code - how connections to its terminals are closed. @default normally
   */
  unload(code?: number): void {
    this.loaded = false;
    this.warmUp = undefined;
    this.disposal = undefined;
    this.asks.clear();
    this.ptys.clear(code);
  }
}

/** A configuration that the server cannot read. Once it has tried, OpenCode 1.18.33 keeps the error until it ends. */
class BrokenConfig {
  readonly error: object;
  wasRead = false;
  isRepaired = false;

  constructor(directory: string, reason: string) {
    const message = `\n--- JSONC Input ---\n{\n--- Errors ---\n${reason} at line 1, column 2\n--- End ---`;
    this.error = { name: 'ConfigJsonError', data: { path: `${directory}/opencode.json`, message } };
  }
}

/** The instances of all directories. */
export class Instances {
  /** How long a disposal takes, by the clock of the mock. */
  disposalMs = 0;
  readonly #init: InstanceInit;
  readonly #byDirectory = new Map<string, Instance>();
  readonly #broken = new Map<string, BrokenConfig>();

  constructor(init: InstanceInit) {
    this.#init = init;
  }

  /** Breaks the configuration of a directory until the returned object is disposed. */
  break(directory: string, reason: string): Disposable {
    const config = new BrokenConfig(directory, reason);
    this.#broken.set(directory, config);
    const isCurrent = (): boolean => this.#broken.get(directory) === config;
    return {
      [Symbol.dispose]: () => {
        config.isRepaired = true;
        if (isCurrent() && !config.wasRead) this.#broken.delete(directory);
      },
    };
  }

  /** What the server says instead of loading a directory; `undefined` when it has loaded it, or can. */
  refusalOf(directory: string): object | undefined {
    if (this.#byDirectory.get(directory)?.loaded === true) return undefined;
    const config = this.#broken.get(directory);
    if (config !== undefined) config.wasRead = true;
    return config?.error;
  }

  /** The instance of a directory; loads it if it is not. */
  use(directory: string): Instance {
    const { events, clock } = this.#init;
    let instance = this.#byDirectory.get(directory);
    if (instance === undefined) {
      instance = new Instance(directory, this.#init);
      this.#byDirectory.set(directory, instance);
    }
    if (!instance.loaded) {
      instance.loaded = true;
      instance.boots += 1;
      const now = clock.now();
      const { projectID } = instance;
      // No event tells of the boot itself; this one comes with it.
      events.emit({ directory: 'global', projectID }, 'project.updated', {
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
    await Promise.all(this.loaded().map((instance) => this.dispose(instance)));
    this.#init.events.emit(undefined, 'global.disposed', {});
  }

  loaded(): Instance[] {
    return [...this.#byDirectory.values()].filter((instance) => instance.loaded);
  }

  /** Ends everything at once, like the process. */
  crash(): void {
    for (const [directory, config] of [...this.#broken]) {
      config.wasRead = false;
      if (config.isRepaired) this.#broken.delete(directory);
    }
    for (const instance of this.#byDirectory.values()) {
      for (const work of instance.work.values()) work.kill();
      instance.work.clear();
      instance.unload(CONNECTION_LOST);
    }
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
    const { events, clock, closed } = this.#init;
    const { boots } = instance;
    await nextMacrotask();
    if (this.disposalMs > 0) await sleep(clock, this.disposalMs, closed).catch(() => undefined);
    await Promise.all([...instance.work.values()].map((work) => work.abort()));
    // The process may have crashed meanwhile.
    if (!instance.loaded || instance.boots !== boots) return;
    instance.unload();
    instance.disposals += 1;
    events.emit(instance, 'server.instance.disposed', { directory: instance.directory });
  }
}
