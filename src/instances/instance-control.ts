import PQueue from 'p-queue';
import { AbortScope, within } from '../core/abort.js';
import {
  type Activity,
  cannotLoad,
  hasBrokenConfig,
  loadInstance,
  readActivity,
  sendDispose,
  sendDisposeAll,
} from '../client/instances/api.js';
import type { PendingAsks } from '../client/asks/api.js';
import type { EventHub, HubObserver } from '../client/events/hub.js';
import type { Http } from '../client/http/http.js';
import { assertRequestOptions, parseTimeoutMs, type RequestOptions } from '../client/http/request-options.js';
import { disposeOptionChecks, type DisposeOptions } from '../client/repo/repo-client.js';
import type { RepoTransport } from '../client/http/repo-transport.js';
import type { DirectoryChange, EventProperties, OpenCodeEvent } from '../client/schema/event.js';
import { sendAbort } from '../client/turns/abort.js';
import { systemClock, type Clock } from '../core/clock.js';
import { assertOptions } from '../core/checks.js';
import { DisposeRefusedError, TimeoutError, type ServerLostError } from '../errors.js';
import {
  describeHolds,
  type DisposeReason,
  type DisposeResult,
  type InstanceDecision,
  type ProcessUsage,
  type RepoOverview,
  type RepoStats,
  type TreeUsage,
} from '../core/instance.js';
import { isSign, takeSign } from './activity-events.js';
import { DISPOSE_TIMEOUT_MS, Disposer } from './disposer.js';
import type { Logger } from '../core/logger.js';
import { IdleClock, parseIdlePolicy, type IdleOutcome, type IdlePolicy } from './idle-clock.js';
import type { LoadOutcome, RepoEntry } from '../registry/instance-entry.js';
import { RepoRegistry } from '../registry/instance-registry.js';

/** How many instances are read at the same time after a gap, and how long one may take. */
const RESYNC_CONCURRENCY = 8;
const RESYNC_LIMIT_MS = 10_000;

/** What the control of instances needs from the client around it. */
export interface InstanceControlInit {
  readonly http: Http;
  readonly hub: Pick<EventHub, 'connect'>;
  /** Sends the requests of one directory, each with a hold. */
  readonly transportOf: (entry: RepoEntry) => RepoTransport;
  /** Milliseconds loading one instance may take, or `false`. */
  readonly bootTimeoutMs: number | false;
  /** Whether the server is ours: then so is every directory it has loaded, whoever asked for it. */
  readonly ownsServer: boolean;
  readonly idle: IdlePolicy | false | undefined;
  readonly clock: Clock | undefined;
  /** Aborts when the client can do no more. */
  readonly closed: AbortSignal;
  readonly logger: Logger;
  /** What the server's processes use now; `undefined` when it cannot be told. */
  readonly usage: () => TreeUsage | undefined;
  /** Whether anything was heard of a session of the server, e.g. as the answer to a call that created it. */
  readonly knowsSession: (sessionID: string) => boolean;
  /** Refuses a directory that has become another one: the server would take what is done to it for the other. */
  readonly assertSame: (directory: string) => void;
  /** Takes what the sessions of a directory wait for, as read again after a gap; `undefined` when that failed. */
  readonly asksReread: (directory: string, asks: PendingAsks | undefined) => void;
  /** Publishes a decision for diagnosis. */
  readonly publish: (decision: InstanceDecision) => void;
}

/** How long nothing is heard of what keeps an instance before the server is asked whether it still goes on. */
const QUIET_MS = 60_000;

/** How long loading an instance waits for the event stream. */
const STREAM_LIMIT_MS = 1_000;

/** How much of an error that an instance reports is logged and kept. */
const MAX_INSTANCE_ERROR_CHARS = 500;

const NO_PROCESSES: ProcessUsage = { count: 0, rssBytes: 0 };

const STREAM_DOWN = 'the event stream is not connected';

const DISPOSED = 'server.instance.disposed';

const LEVELS = { loaded: 'debug', broken: 'warn', kept: 'debug', disposed: 'info', failed: 'warn' } as const;

/** The instances of one server: what is known of them, what keeps them loaded, and how they are disposed. */
export class InstanceControl implements HubObserver {
  readonly #init: InstanceControlInit;
  readonly #repos: RepoRegistry;
  readonly #idle: IdleClock | undefined;
  readonly #disposer: Disposer;
  /** What subscribers know of each instance since the stream went down, until they are told of the gap. */
  #lastTold: Map<string, Doing> | undefined;
  /** Directories whose instance ended with the server since then. */
  readonly #ended = new Set<string>();
  /** What was heard of the instances when they were last looked at, by their version. */
  readonly #heard = new WeakMap<RepoEntry, number>();
  /** Aborts when the stream goes down; another one for each time it is up. */
  #watching: AbortController | undefined;
  /** When what keeps the instances is looked at next; `undefined` while nothing is known to be at work. */
  #lookAt: number | undefined;

  /** @throws {RangeError} for an idle policy out of bounds. */
  constructor(init: InstanceControlInit) {
    this.#init = init;
    const { hub, closed, usage } = init;
    this.#repos = new RepoRegistry(init.clock ?? systemClock, {
      load: (entry, abandoned) => this.#load(entry, abandoned),
      broken: (entry, error) => {
        this.#decide(entry, { decision: 'broken', error, text: `not loaded: ${error.message}` });
      },
      loaded: (entry) => {
        if (!init.ownsServer) entry.foreign.loadedElsewhere();
        this.#decide(entry, { decision: 'loaded', text: 'loaded' });
        // Who does not watch the server cannot know when it is idle.
        if (this.#idle === undefined) return;
        hub.connect().catch(() => undefined);
        this.#idle.check();
      },
      released: (entry) => this.#idle?.released(entry),
      reopened: () => this.#idle?.check(),
    });
    this.#disposer = new Disposer({
      confirm: async (directory, signal) => {
        await this.#confirm(directory, signal);
      },
      send: (directory, signal) => this.#sendDispose(directory, { signal }),
      abort: (directory, sessionID, signal) =>
        sendAbort(init.transportOf(this.entry(directory)), sessionID, { signal }),
      unloaded: (directory, reason) =>
        this.#decide(this.entry(directory), { decision: 'disposed', reason, text: `disposed: ${reason}` }),
      streamLive: () => hub.connect(),
      closed,
    });
    const idle = parseIdlePolicy(init.idle);
    if (idle === undefined) return;
    this.#idle = new IdleClock(this.#repos, idle, {
      dispose: (entry, reason) => this.#disposeIdle(entry, reason),
      look: (now) => this.#look(now),
      serverRssBytes: () => usage()?.total.rssBytes,
    });
    this.#repos.setDoubt(STREAM_DOWN);
  }

  /** What is known of a directory, made on first use. */
  entry(directory: string): RepoEntry {
    return this.#repos.entry(directory);
  }

  stats(entry: RepoEntry): RepoStats {
    return entry.stats(this.#idle?.deadline(entry));
  }

  overview(): RepoOverview[] {
    const byDirectory = this.#init.usage()?.byDirectory;
    return [...this.#repos.entries()].map((entry) => ({
      ...this.stats(entry),
      processes: byDirectory && (byDirectory.get(entry.directory) ?? NO_PROCESSES),
    }));
  }

  /** No instance is disposed for idleness any more. */
  stop(): void {
    this.#idle?.stop();
    this.#unwatch();
  }

  /** The event stream delivers and what was missed is told, or it does not: then what is known now is what was told last. */
  connection(live: boolean): void {
    if (live) {
      this.#lastTold = undefined;
      this.#ended.clear();
      this.#repos.setDoubt(undefined);
      this.#watch();
      this.#idle?.retry();
    } else if (this.#lastTold === undefined) {
      const loaded = [...this.#repos.loadedEntries()];
      this.#lastTold = new Map(loaded.map((entry) => [entry.directory, doingOf(entry)]));
      this.#repos.setDoubt(STREAM_DOWN);
      this.#unwatch();
    }
  }

  /** Whether an event is needed here: its type is observed, or it is the first sign of an instance. */
  wants(type: string, directory: string | undefined): boolean {
    if (directory === undefined) return false;
    const entry = this.#repos.find(directory);
    if (entry === undefined) return this.#init.ownsServer;
    return !entry.loaded || type === DISPOSED || isSign(type);
  }

  /**
   * After a gap: reads again what is loaded and held or subscribed to, and tells how all differs from what was told last, however
   * often the stream was up and down again since then. What cannot be read stays as it was, keeps what it held, and is not
   * told of. Nothing else is asked: it is asked before it is disposed, and to ask would load what was disposed meanwhile.
   */
  async resync(
    isSubscribed: (directory: string) => boolean,
    signal: AbortSignal,
  ): Promise<DirectoryChange[]> {
    const reading = [...this.#repos.loadedEntries()]
      // Asked now, a dying instance would be loaded again.
      .filter(
        (entry) => !entry.isDisposing && !entry.isLoading && (entry.isHeld || isSubscribed(entry.directory)),
      )
      .map((entry) => async () => ({ entry, outcome: await this.#reread(entry, signal) }));
    const reads = await new PQueue({ concurrency: RESYNC_CONCURRENCY }).addAll(reading);
    signal.throwIfAborted();
    const outcomes = new Map(reads.map(({ entry, outcome }) => [entry, outcome]));
    const changes: DirectoryChange[] = [];
    for (const entry of this.#repos.entries()) {
      const outcome = outcomes.get(entry);
      if (outcome === 'failed') continue;
      const change = changeOf(entry.directory, this.#lastTold?.get(entry.directory), doingOf(entry));
      if (outcome === 'read' || this.#ended.has(entry.directory) || !isEmpty(change)) changes.push(change);
    }
    return changes;
  }

  /**
   * The server has ended: nothing is loaded any more, and nobody waits for the end of a disposal. Returns the ids of the
   * sessions that were at work.
   */
  lose(error: ServerLostError, reason: 'server' | 'external'): string[] {
    const entries = [...this.#repos.loadedEntries()];
    const interrupted = entries.flatMap((entry) => entry.activityIDs('session-busy'));
    for (const entry of entries) {
      this.#ended.add(entry.directory);
      entry.unload(reason);
      this.#decide(entry, { decision: 'disposed', reason, text: `gone with its server: ${reason}` });
    }
    for (const entry of this.#repos.entries()) entry.clearError();
    this.#disposer.lose(error);
    return interrupted;
  }

  /**
   * Runs a restart of the server that was asked for, unless something holds an instance.
   *
   * @throws {DisposeRefusedError} {@link TimeoutError}
   */
  restart(run: () => Promise<void>, force: boolean): Promise<void> {
    const list = (): RepoEntry[] => [...this.#repos.loadedEntries()];
    const instances = { list, closeGate: () => this.#repos.closeGate() };
    return this.#disposer.restart(instances, run, force);
  }

  /**
   * `GET /path` does no more than load the instance, which runs the plugins of the repository. What fails otherwise will be met by
   * the call that needs the instance.
   */
  async #load({ directory }: RepoEntry, abandoned: AbortSignal): Promise<LoadOutcome> {
    const { http, hub, ownsServer, bootTimeoutMs, closed } = this.#init;
    const scope = new AbortScope([closed, abandoned], {
      timeoutMs: bootTimeoutMs,
      reason: (timeoutMs) =>
        new TimeoutError(`Loading the instance of ${JSON.stringify(directory)}`, {
          phase: 'boot',
          timeoutMs,
        }),
    });
    try {
      // An error of a plugin is told only while the plugin is being loaded.
      if (ownsServer)
        await within(
          STREAM_LIMIT_MS,
          hub.connect().catch(() => undefined),
          scope.signal,
        );
      await loadInstance(http, directory, scope.signal);
      return 'loaded';
    } catch (error) {
      if (scope.signal.aborted && !abandoned.aborted) throw error;
      return cannotLoad(error) ? { error } : 'unknown';
    } finally {
      scope.end();
    }
  }

  #watch(): void {
    if (this.#idle === undefined || this.#init.closed.aborted) return;
    this.#watching = new AbortController();
    for (const entry of this.#repos.loadedEntries()) this.#heed(entry);
  }

  #unwatch(): void {
    this.#watching?.abort();
    this.#watching = undefined;
    this.#lookAt = undefined;
  }

  /** From now on, what keeps the instance is looked at. */
  #heed(entry: RepoEntry): void {
    if (this.#watching === undefined || this.#lookAt !== undefined || !entry.isAtWork) return;
    this.#heard.set(entry, entry.activityVersion);
    this.#lookAt = this.#repos.clock.now() + QUIET_MS;
    this.#idle?.check();
  }

  /**
   * What a lost or a late event has told wrong would keep an instance for ever: where nothing was heard of what keeps it since
   * the last look, the server is asked. While it does not answer, or says that it goes on, nothing changes.
   */
  #look(now: number): number | undefined {
    const signal = this.#watching?.signal;
    if (signal === undefined || this.#lookAt === undefined) return undefined;
    const leftMs = this.#lookAt - now;
    // A clock that was set back must not keep it waiting for as long as it was ahead.
    if (leftMs > 0 && leftMs <= QUIET_MS) return this.#lookAt;
    const atWork = [...this.#repos.loadedEntries()].filter((entry) => entry.isAtWork);
    for (const entry of atWork) {
      const { activityVersion } = entry;
      const isQuiet = this.#heard.get(entry) === activityVersion;
      this.#heard.set(entry, activityVersion);
      if (isQuiet && !entry.isDisposing) this.#confirmInTime(entry.directory, signal).catch(() => undefined);
    }
    this.#lookAt = atWork.length === 0 ? undefined : now + QUIET_MS;
    return this.#lookAt;
  }

  async #reread(entry: RepoEntry, signal: AbortSignal): Promise<'read' | 'failed' | undefined> {
    const { directory } = entry;
    if (entry.isDisposing || !entry.loaded) return undefined;
    try {
      const activity = await this.#confirmInTime(directory, signal);
      if (activity === undefined) return undefined;
      this.#init.asksReread(directory, activity);
      return 'read';
    } catch (error) {
      this.#init.asksReread(directory, undefined);
      if (!signal.aborted) {
        this.#init.logger.warn('instance not read again', { directory, error: String(error) });
      }
      return 'failed';
    }
  }

  async #confirmInTime(directory: string, signal: AbortSignal): Promise<Activity | undefined> {
    const scope = new AbortScope([signal], {
      timeoutMs: RESYNC_LIMIT_MS,
      reason: (timeoutMs) => new TimeoutError('Reading the instance again', { phase: 'events', timeoutMs }),
    });
    try {
      return await this.#confirm(directory, scope.signal);
    } finally {
      scope.end();
    }
  }

  /** Takes note of what an event says about the instance of its directory. */
  event(event: OpenCodeEvent): void {
    if (event.directory === undefined) return;
    // On a server of somebody else, the directories this client never asked for are not its to care for.
    const entry = this.#init.ownsServer
      ? this.#repos.entry(event.directory)
      : this.#repos.find(event.directory);
    if (entry === undefined) return;
    if (event.type === DISPOSED) this.#disposer.disposed(entry);
    else {
      takeSign(entry, event);
      if (event.type === 'session.created') this.#noteCreated(entry, event.properties.info);
      this.#heed(entry);
      if (event.type === 'session.error') this.#noteInstanceError(entry, event.properties);
    }
  }

  /**
   * The answer to a call comes before the event (OpenCode 1.18.33), so a session that is not known yet is somebody else's. A child
   * session belongs to whom its parent belongs.
   */
  #noteCreated({ foreign }: RepoEntry, { id, parentID }: EventProperties['session.created']['info']): void {
    if (parentID !== undefined || this.#init.knowsSession(id)) foreign.claim(id);
    else foreign.saw(id);
  }

  /** An error without a session is one of the instance: that is how OpenCode 1.18.33 reports a plugin it could not load. */
  #noteInstanceError(entry: RepoEntry, { sessionID, error }: EventProperties['session.error']): void {
    if (sessionID !== undefined) return;
    const { name, data } = error ?? {};
    const message = typeof data === 'object' && data !== null && 'message' in data ? data.message : name;
    const text = (typeof message === 'string' ? message : 'unknown error').slice(0, MAX_INSTANCE_ERROR_CHARS);
    if (/\bplugin\b/i.test(text)) entry.notePluginError(text);
    this.#init.logger.warn('instance reported an error', { directory: entry.directory, error: text });
  }

  /**
   * Disposes the instance, unless something holds it.
   *
   * @throws {DisposeRefusedError} {@link TimeoutError}
   */
  async dispose(entry: RepoEntry, options?: DisposeOptions): Promise<DisposeResult> {
    assertOptions('dispose()', disposeOptionChecks, options);
    const reason = options?.force === true ? 'forced' : 'explicit';
    return this.#reporting(entry, reason, async () => {
      const timeoutMs = parseTimeoutMs('timeoutMs', options?.timeoutMs, DISPOSE_TIMEOUT_MS);
      const send = (signal: AbortSignal): Promise<void> =>
        this.#sendDispose(entry.directory, ownRequest(options, signal));
      const limits = { signal: options?.signal, timeoutMs, send };
      const disposal =
        reason === 'forced'
          ? await this.#disposer.force(entry, limits)
          : await this.#disposer.dispose(entry, reason, limits);
      return { directory: entry.directory, ...disposal };
    });
  }

  /** Everything that is loaded, behind one gate; `after` runs behind it too. */
  async disposeAll(options?: RequestOptions, after?: (signal: AbortSignal) => Promise<void>): Promise<void> {
    assertRequestOptions(options);
    const list = (): RepoEntry[] => [...this.#repos.loadedEntries()];
    const send = async (signal: AbortSignal): Promise<void> => {
      await sendDisposeAll(this.#init.http, ownRequest(options, signal));
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
    assertRequestOptions(options);
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

  async #sendDispose(directory: string, options: RequestOptions): Promise<void> {
    this.#init.assertSame(directory);
    await sendDispose(this.#init.http, directory, options);
  }

  async #disposeIdle(entry: RepoEntry, reason: 'idle' | 'cap'): Promise<IdleOutcome> {
    try {
      await this.#reporting(entry, reason, () => this.#disposer.dispose(entry, reason));
      return 'disposed';
    } catch (error) {
      return error instanceof DisposeRefusedError ? 'refused' : 'failed';
    }
  }

  /** Tells why a disposal was not what came of it. */
  async #reporting<T>(entry: RepoEntry, reason: DisposeReason, dispose: () => Promise<T>): Promise<T> {
    try {
      return await dispose();
    } catch (error) {
      if (error instanceof DisposeRefusedError) {
        const { holds } = error;
        const text = `kept: ${describeHolds(holds, this.#repos.clock.now())}`;
        this.#decide(entry, { decision: 'kept', reason, holds, text });
      } else if (!this.#init.closed.aborted) {
        this.#decide(entry, { decision: 'failed', reason, error, text: `not disposed: ${String(error)}` });
      }
      throw error;
    }
  }

  #decide(entry: RepoEntry, decision: Omit<InstanceDecision, 'directory'>): void {
    const { logger, publish } = this.#init;
    const { directory } = entry;
    const { text, ...details } = decision;
    const level = LEVELS[decision.decision];
    logger[level](`instance ${text}`, { directory, ...details });
    publish({ directory, ...decision });
  }

  /** Reads what the server is doing in a directory, if it is loaded, and corrects what is known of it. */
  async #confirm(directory: string, signal: AbortSignal): Promise<Activity | undefined> {
    const entry = this.#repos.find(directory);
    this.#init.assertSame(directory);
    // Asked once more after somebody else has disposed it, it would be loaded again.
    while (entry?.loaded) {
      const { activityVersion, watch } = entry;
      const activity = await this.#readActivity(entry, signal);
      if (activity === undefined) return undefined;
      // An event that came meanwhile may be newer than this answer.
      if (entry.activityVersion !== activityVersion || !entry.loaded) continue;
      entry.replaceActivity('session-busy', activity.busySessions.map(toItem));
      entry.replaceActivity('permission', activity.permissions);
      entry.replaceActivity('question', activity.questions);
      if (activity.runningPtys !== undefined) {
        entry.replaceActivity('pty', activity.runningPtys.map(toItem));
        entry.learnTerminals(watch);
      }
      this.#heed(entry);
      return activity;
    }
    return undefined;
  }

  /** `undefined` when the server cannot load the instance: whatever it had loaded there is gone. */
  async #readActivity(entry: RepoEntry, signal: AbortSignal): Promise<Activity | undefined> {
    try {
      const activity = await readActivity(this.#init.http, entry, signal);
      entry.setDoubt(undefined);
      return activity;
    } catch (error) {
      if (hasBrokenConfig(error)) {
        entry.markBroken(error);
        return undefined;
      }
      entry.setDoubt(`its state could not be read: ${String(error)}`);
      throw error;
    }
  }
}

/** What a caller chose for the request, with the limits of the disposal it is part of. */
function ownRequest(options: RequestOptions | undefined, signal: AbortSignal): RequestOptions {
  const { headers, retry, maxResponseBytes } = options ?? {};
  return { headers, retry, maxResponseBytes, signal, timeoutMs: false };
}

function toItem(id: string): { readonly id: string } {
  return { id };
}

/** What the server does in a directory, as far as subscribers are told of it after a gap. */
interface Doing {
  readonly busy: readonly string[];
  readonly asks: readonly string[];
}

const NOTHING: Doing = { busy: [], asks: [] };

function doingOf(entry: RepoEntry): Doing {
  return {
    busy: entry.activityIDs('session-busy'),
    asks: [...entry.activityIDs('permission'), ...entry.activityIDs('question')],
  };
}

function changeOf(directory: string, before = NOTHING, after: Doing): DirectoryChange {
  return {
    directory,
    busy: without(after.busy, before.busy),
    idle: without(before.busy, after.busy),
    asked: without(after.asks, before.asks),
    answered: without(before.asks, after.asks),
  };
}

function without(ids: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return ids.filter((id) => !known.has(id));
}

function isEmpty({ busy, idle, asked, answered }: DirectoryChange): boolean {
  return [busy, idle, asked, answered].every((ids) => ids.length === 0);
}
