import { readActivity, sendDispose, sendDisposeAll } from './client/activity.js';
import type { EventHub } from './client/events/hub.js';
import type { Http } from './client/http.js';
import { parseTimeoutMs, type RequestOptions } from './client/options.js';
import type { OpenCodeEvent } from './client/schema/event.js';
import { systemClock, type Clock } from './clock.js';
import { DisposeRefusedError } from './errors.js';
import type { DisposeReason, DisposeResult, RepoStats } from './instance.js';
import { DISPOSE_TIMEOUT_MS, Disposer } from './lifecycle/disposer.js';
import type { Logger } from './logger.js';
import { IdleClock, type IdlePolicy } from './registry/idle.js';
import { RepoRegistry, type RepoEntry } from './registry/repos.js';

/** What the control of instances needs from the client around it. */
export interface InstanceControlInit {
  readonly http: Http;
  readonly hub: Pick<EventHub, 'connect'>;
  /** Whether the server is ours: then so is every directory it has loaded, whoever asked for it. */
  readonly ownsServer: boolean;
  readonly idle: IdlePolicy | false | undefined;
  readonly clock: Clock | undefined;
  /** Aborts when the client can do no more. */
  readonly closed: AbortSignal;
  readonly logger: Logger;
}

/** The instances of one server: what is known of them, what keeps them loaded, and how they are disposed. */
export class InstanceControl {
  readonly #init: InstanceControlInit;
  readonly #repos: RepoRegistry;
  readonly #idle: IdleClock | undefined;
  readonly #disposer: Disposer;

  /** @throws {RangeError} for an idle policy out of bounds. */
  constructor(init: InstanceControlInit) {
    this.#init = init;
    const { http, hub, closed, logger } = init;
    this.#repos = new RepoRegistry(init.clock ?? systemClock, {
      loaded: () => {
        // Who does not watch the server cannot know when it is idle.
        if (this.#idle === undefined) return;
        hub.connect().catch(() => undefined);
        this.#idle.check();
      },
      released: (entry) => this.#idle?.released(entry),
      reopened: () => this.#idle?.check(),
    });
    this.#disposer = new Disposer({
      confirm: (directory, signal) => this.#confirm(directory, signal),
      send: (directory, signal) => sendDispose(http, directory, signal),
      streamLive: () => hub.connect(),
      closed,
      logger,
    });
    if (init.idle !== false) {
      this.#idle = new IdleClock(this.#repos, init.idle, (entry, reason) => this.#disposeIdle(entry, reason));
    }
  }

  /** What is known of a directory, made on first use. */
  entry(directory: string): RepoEntry {
    return this.#repos.entry(directory);
  }

  stats(entry: RepoEntry): RepoStats {
    return entry.stats(this.#idle?.deadline(entry));
  }

  allStats(): RepoStats[] {
    return [...this.#repos.entries()].map((entry) => this.stats(entry));
  }

  /** No instance is disposed for idleness any more. */
  stop(): void {
    this.#idle?.stop();
  }

  /** The event stream delivers again. */
  live(): void {
    this.#idle?.check();
  }

  /** After a gap: what cannot be read stays as it was, and keeps what it held. */
  async resync(signal: AbortSignal): Promise<void> {
    for (const { directory, isDisposing } of [...this.#repos.loadedEntries()]) {
      // Asked now, a dying instance would be loaded again.
      if (isDisposing) continue;
      try {
        await this.#confirm(directory, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#init.logger.warn('instance not read again', { directory, error: String(error) });
      }
    }
  }

  /** Takes note of what an event says about the instance of its directory. */
  observe(event: OpenCodeEvent): void {
    if (event.directory === undefined) return;
    // On a server of somebody else, the directories this client never asked for are not its to care for.
    const entry = this.#init.ownsServer
      ? this.#repos.entry(event.directory)
      : this.#repos.find(event.directory);
    if (entry === undefined) return;
    if (event.type === 'server.instance.disposed') {
      this.#disposer.disposed(entry);
      return;
    }
    entry.notice();
    switch (event.type) {
      case 'session.status':
        entry.setActive('session-busy', event.properties.sessionID, event.properties.status.type !== 'idle');
        return;
      case 'session.idle':
      case 'session.deleted':
        entry.setActive('session-busy', event.properties.sessionID, false);
        return;
      case 'pty.created':
        entry.setActive('pty', event.properties.info.id, true);
        return;
      case 'pty.exited':
      case 'pty.deleted':
        entry.setActive('pty', event.properties.id, false);
        return;
      default:
    }
  }

  async dispose(entry: RepoEntry, reason: DisposeReason, options?: RequestOptions): Promise<DisposeResult> {
    const timeoutMs = parseTimeoutMs('timeoutMs', options?.timeoutMs, DISPOSE_TIMEOUT_MS);
    const disposed = await this.#disposer.dispose(entry, reason, { signal: options?.signal, timeoutMs });
    return { directory: entry.directory, disposed };
  }

  /** Everything that is loaded, behind one gate; `after` runs behind it too. */
  async disposeAll(options?: RequestOptions, after?: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const list = (): RepoEntry[] => [...this.#repos.loadedEntries()];
    const send = async (signal: AbortSignal): Promise<void> => {
      await sendDisposeAll(this.#init.http, { signal });
      await after?.(signal);
    };
    const instances = { list, closeGate: () => this.#repos.closeGate() };
    const timeoutMs = parseTimeoutMs('timeoutMs', options?.timeoutMs, DISPOSE_TIMEOUT_MS);
    return this.#disposer.disposeAll(instances, { signal: options?.signal, timeoutMs, send });
  }

  /**
   * Runs a call that makes the server dispose the instance; it takes the place of the dispose call. `load` makes sure that
   * there is one.
   */
  async disposing<T>(
    entry: RepoEntry,
    load: () => Promise<void>,
    send: (signal: AbortSignal) => Promise<T>,
    options?: RequestOptions,
  ): Promise<T> {
    let answer: { readonly value: T } | undefined;
    const replaceDispose = async (signal: AbortSignal): Promise<void> => {
      answer = { value: await send(signal) };
    };
    // Somebody else's disposal may be shared, or be done first: then the call is still to come.
    while (answer === undefined) {
      await load();
      await this.#disposer.dispose(entry, 'server', { signal: options?.signal, send: replaceDispose });
    }
    return answer.value;
  }

  async #disposeIdle(entry: RepoEntry, reason: 'idle' | 'cap'): Promise<void> {
    const { closed, logger } = this.#init;
    try {
      await this.#disposer.dispose(entry, reason);
    } catch (error) {
      if (closed.aborted) return;
      const { directory } = entry;
      if (error instanceof DisposeRefusedError)
        logger.debug('instance kept', { directory, holds: error.holds });
      else logger.warn('instance not disposed', { directory, error: String(error) });
    }
  }

  /** Reads what the server is doing in a loaded directory and corrects what is known of it. */
  async #confirm(directory: string, signal: AbortSignal): Promise<void> {
    const entry = this.#repos.find(directory);
    if (entry === undefined || !entry.loaded) return;
    for (;;) {
      const { activityVersion } = entry;
      const { busySessions, runningPtys } = await readActivity(this.#init.http, directory, signal);
      // An event that came meanwhile may be newer than this answer.
      if (entry.activityVersion !== activityVersion) continue;
      entry.setAllActive('session-busy', busySessions);
      entry.setAllActive('pty', runningPtys);
      return;
    }
  }
}
