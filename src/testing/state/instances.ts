import type { Clock } from '../../core/clock.js';
import type { PermissionRule, SessionStatus } from '../../client/schema/session.js';
import { Asks } from './asks.js';
import type { EventScope, ServerEvents } from './server-events.js';
import type { Ids } from './ids.js';
import { nextMacrotask } from '../next-macrotask.js';
import { sleep } from '../sleep.js';
import { Ptys } from './ptys.js';
import { CONNECTION_LOST, type MockTerminalProgram } from './terminal.js';

/** The state of the instance of one directory. */
export interface MockInstance {
  readonly directory: string;
  /** Whether it is loaded now. */
  readonly loaded: boolean;
  /** How often it was loaded. */
  readonly boots: number;
  /** How often it was disposed. */
  readonly disposals: number;
}

/** Work of a session, which is busy until the work has ended. */
export interface SessionWork {
  readonly status: SessionStatus;
  /** Ends the work; resolves when its end is stored and its last event is sent. */
  abort(): Promise<void>;
  /** Ends the work at once: it stores nothing and sends no event any more. */
  kill(): void;
}

/** What the instances need of the server. */
export interface InstanceInit {
  readonly events: ServerEvents;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly projectOf: (directory: string) => string;
  /** The answers `always` of a project that outlive its instances. @default none does */
  readonly savedRules?: ((projectID: string) => PermissionRule[]) | undefined;
  /** The program in every terminal. */
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
  /** The work that has not ended, by session id. */
  readonly work = new Map<string, SessionWork>();
  loaded = false;
  boots = 0;
  disposals = 0;
  /** What the first prompts of a loaded instance wait for. */
  warmUp: Promise<void> | 'done' | undefined;
  /** The disposal that is under way. */
  disposal: Promise<void> | undefined;

  constructor(directory: string, { events, ids, projectOf, savedRules, terminal }: InstanceInit) {
    this.directory = directory;
    this.projectID = projectOf(directory);
    this.asks = new Asks(this, events, ids, savedRules?.(this.projectID));
    this.ptys = new Ptys(this, events, ids, terminal);
  }

  /** The statuses of the sessions that are not idle, by id. */
  statuses(): Record<string, SessionStatus> {
    const statuses = [...this.work].map(([sessionID, { status }]) => [sessionID, status] as const);
    return Object.fromEntries(statuses.filter(([, { type }]) => type !== 'idle'));
  }

  isBusy(sessionID: string): boolean {
    return (this.work.get(sessionID)?.status.type ?? 'idle') !== 'idle';
  }

  /**
   * Forgets what is not stored: pending requests and terminals.
   *
   * @param code - the close code of the connections to its terminals. @default 1000
   */
  unload(code?: number): void {
    this.loaded = false;
    this.warmUp = undefined;
    this.disposal = undefined;
    this.asks.clear();
    this.ptys.clear(code);
  }
}

/** A configuration that the server cannot parse. OpenCode 1.18.33 keeps the error that it has read until its process ends. */
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
  /** How long a disposal takes, in milliseconds by the clock of the mock. */
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

  /** The error that a request gets instead of loading a directory; `undefined` when it is loaded or can be. */
  refusalOf(directory: string): object | undefined {
    if (this.#byDirectory.get(directory)?.loaded === true) return undefined;
    const config = this.#broken.get(directory);
    if (config !== undefined) config.wasRead = true;
    return config?.error;
  }

  /** The instance of a directory that was used before, whether it is loaded or not. */
  find(directory: string): Instance | undefined {
    return this.#byDirectory.get(directory);
  }

  /** The instance of a directory, loaded by this call unless it is already. */
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
      // The server has no event for the boot itself; it sends this one with it.
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

  /** Aborts what runs in the instance and unloads it, a macrotask after the call; resolves when the event about it is sent. */
  dispose(instance: Instance): Promise<void> {
    instance.disposal ??= this.#dispose(instance);
    return instance.disposal;
  }

  /** Disposes every loaded instance; resolves when all are disposed. */
  async disposeAll(): Promise<void> {
    await Promise.all(this.loaded().map((instance) => this.dispose(instance)));
    this.#init.events.emit(undefined, 'global.disposed', {});
  }

  loaded(): Instance[] {
    return [...this.#byDirectory.values()].filter((instance) => instance.loaded);
  }

  /** Ends everything at once, like a process that is killed. */
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
