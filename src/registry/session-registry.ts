import { LRUCache } from 'lru-cache';
import { deferred } from '../core/abort.js';
import { aSignal, assertOptions, positiveMsOrFalse, type OptionChecks } from '../core/checks.js';
import { SessionAlreadyBoundError, SessionDirectoryError } from '../errors.js';

/** One host conversation and the OpenCode session behind it. */
export interface SessionBinding {
  /** The host application's own conversation id. */
  readonly jarvisSessionID: string;
  /** The OpenCode session, `ses_…`. */
  readonly sessionID: string;
  /** The repository it belongs to for good. */
  readonly directory: string;
}

/** The fields of a session that `bind()` needs. */
export interface BindableSession {
  readonly id: string;
  readonly directory: string;
}

/**
 * Maps each jarvis session to its OpenCode session and that session's directory, in memory. A jarvis session has one
 * OpenCode session, and the other way round.
 */
export interface SessionMap {
  /**
   * Binds a jarvis session to a session; binding the same pair again does nothing.
   *
   * @throws {SessionAlreadyBoundError} when either side is bound to something else.
   * @throws {RepoPlacedError} when another member of the fleet has the directory.
   */
  bind(jarvisSessionID: string, session: BindableSession): void;
  /** Removes a binding; `false` when there was none. It does not change the OpenCode session. */
  unbind(jarvisSessionID: string): boolean;
  /** The binding of a jarvis session. */
  get(jarvisSessionID: string): SessionBinding | undefined;
  /** The directory that a session belongs to now, if this client has seen the session. Works for child sessions too. */
  directoryOf(sessionID: string): string | undefined;
  /** Every binding, oldest first. */
  list(): SessionBinding[];
  /**
   * Compares every binding with the server, e.g. after a restore. It loads no instance. It removes the bindings of
   * sessions that are gone. It keeps those of sessions that were moved: calls through them reject with
   * `SessionDirectoryError` until you unbind them.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}; nothing was changed then.
   */
  reconcile(options?: ReconcileOptions): Promise<ReconcileResult>;
}

/** Options of {@link SessionMap.reconcile}. */
export interface ReconcileOptions {
  /** Cancels the comparison; nothing was changed then. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds each request may take. @default 60_000 */
  readonly timeoutMs?: number | false | undefined;
}

const reconcileChecks: OptionChecks<ReconcileOptions> = { signal: aSignal, timeoutMs: positiveMsOrFalse };

/** What `reconcile()` found for each binding. */
export interface ReconcileResult {
  /** The session belongs to the directory of the binding. */
  readonly kept: readonly SessionBinding[];
  /** The session does not exist any more; its binding was removed. */
  readonly gone: readonly SessionBinding[];
  /** The session belongs to `foundDirectory` now. */
  readonly moved: readonly (SessionBinding & { readonly foundDirectory: string })[];
}

/**
 * Finds the directory of each session without loading an instance. The result leaves out sessions that do not exist.
 */
export type LocateSessions = (
  bindings: readonly SessionBinding[],
  options?: ReconcileOptions,
) => Promise<ReadonlyMap<string, string>>;

/** The directory and the parent of a session, as the server reports them. */
export interface SessionOrigin {
  readonly id: string;
  readonly directory: string;
  readonly parentID?: string | undefined;
}

/** A jarvis session id that is reserved before its session exists. */
export interface Reservation {
  /** Resolves when the id is bound or given up. */
  readonly settled: Promise<void>;
  /** Binds the id to the session. */
  bind(session: BindableSession): void;
  /** Gives the id up if it was not bound; does nothing after `bind`. */
  release(): void;
}

/** How many seen sessions the registry remembers. The client asks the server again about a forgotten one. */
const MAX_SEEN_SESSIONS = 10_000;
/**
 * How many characters of ids and directories it keeps for them at most, however long those that the server sends are.
 */
const MAX_SEEN_CHARACTERS = 32 * 1024 * 1024;

/** What the registry asks the other servers of a fleet. */
export interface OtherServers {
  /** The binding of a jarvis session to a session of another server. */
  boundElsewhere(jarvisSessionID: string): SessionBinding | undefined;
  /** Places the directory of a session on this server. @throws {RepoPlacedError} when another one has it. */
  place(directory: string): void;
}

/** Knows the directory and the parent of each seen session, and the jarvis session that it serves. */
export class SessionRegistry {
  readonly #byJarvisSession = new Map<string, SessionBinding>();
  readonly #bySession = new Map<string, SessionBinding>();
  readonly #reserved = new Map<string, SessionBinding & Pick<Reservation, 'settled'>>();
  readonly #seen = new LRUCache<string, SessionOrigin>({
    max: MAX_SEEN_SESSIONS,
    maxSize: MAX_SEEN_CHARACTERS,
    sizeCalculation: ({ id, directory, parentID = '' }) => 1 + id.length + directory.length + parentID.length,
  });
  readonly #others: OtherServers | undefined;

  /** @param others - the other servers of a fleet. @default there are none */
  constructor(others?: OtherServers) {
    this.#others = others;
  }

  bind(jarvisSessionID: string, session: BindableSession): void {
    assertJarvisSessionID(jarvisSessionID);
    const owner = this.directoryOf(session.id);
    if (owner !== undefined && owner !== session.directory) {
      throw new SessionDirectoryError({ sessionID: session.id, expected: session.directory, found: owner });
    }
    const taken = [
      this.#byJarvisSession.get(jarvisSessionID),
      this.#bySession.get(session.id),
      this.#reserved.get(jarvisSessionID),
    ];
    const elsewhere = this.#others?.boundElsewhere(jarvisSessionID);
    if (elsewhere !== undefined) throw new SessionAlreadyBoundError(elsewhere);
    for (const existing of taken) {
      if (existing === undefined) continue;
      if (existing.jarvisSessionID === jarvisSessionID && existing.sessionID === session.id) return;
      throw new SessionAlreadyBoundError(existing);
    }
    this.#others?.place(session.directory);
    const binding = Object.freeze({ jarvisSessionID, sessionID: session.id, directory: session.directory });
    this.#byJarvisSession.set(jarvisSessionID, binding);
    this.#bySession.set(session.id, binding);
  }

  /**
   * Reserves a jarvis session id for a session that is being created, so that two creations cannot race for it.
   *
   * @throws {SessionAlreadyBoundError} when it is bound or reserved.
   */
  reserve(jarvisSessionID: string, directory: string): Reservation {
    assertJarvisSessionID(jarvisSessionID);
    const taken = this.taken(jarvisSessionID) ?? this.#others?.boundElsewhere(jarvisSessionID);
    if (taken !== undefined) throw new SessionAlreadyBoundError(taken);
    const { promise: settled, resolve: settle } = deferred();
    const sessionID = 'a session being created';
    this.#reserved.set(jarvisSessionID, { jarvisSessionID, sessionID, directory, settled });
    let open = true;
    const release = (): void => {
      if (open) this.#reserved.delete(jarvisSessionID);
      open = false;
      settle();
    };
    return {
      settled,
      bind: (session) => {
        this.#reserved.delete(jarvisSessionID);
        open = false;
        try {
          this.bind(jarvisSessionID, session);
        } finally {
          settle();
        }
      },
      release,
    };
  }

  /** What a jarvis session is bound to, or reserved for. */
  taken(jarvisSessionID: string): SessionBinding | undefined {
    return this.#byJarvisSession.get(jarvisSessionID) ?? this.#reserved.get(jarvisSessionID);
  }

  /** Resolves when the creation of a session for the id has ended; `undefined` when none is under way. */
  creation(jarvisSessionID: string): Promise<void> | undefined {
    return this.#reserved.get(jarvisSessionID)?.settled;
  }

  unbind(jarvisSessionID: string): boolean {
    const binding = this.#byJarvisSession.get(jarvisSessionID);
    if (binding === undefined) return false;
    this.#byJarvisSession.delete(jarvisSessionID);
    this.#bySession.delete(binding.sessionID);
    return true;
  }

  get(jarvisSessionID: string): SessionBinding | undefined {
    return this.#byJarvisSession.get(jarvisSessionID);
  }

  /**
   * The binding of a jarvis session.
   *
   * @throws {TypeError} if it is no id.
   */
  binding(jarvisSessionID: string): SessionBinding | undefined {
    assertJarvisSessionID(jarvisSessionID);
    return this.get(jarvisSessionID);
  }

  directoryOf(sessionID: string): string | undefined {
    return this.#seen.get(sessionID)?.directory ?? this.#bySession.get(sessionID)?.directory;
  }

  list(): SessionBinding[] {
    return [...this.#byJarvisSession.values()];
  }

  /** Compares every binding with what `locate` finds. */
  async reconcile(locate: LocateSessions, options?: ReconcileOptions): Promise<ReconcileResult> {
    assertOptions('reconcile()', reconcileChecks, options);
    const kept: SessionBinding[] = [];
    const gone: SessionBinding[] = [];
    const moved: (SessionBinding & { readonly foundDirectory: string })[] = [];
    const bindings = this.list();
    const found = await locate(bindings, options);
    for (const binding of bindings) {
      // The caller has unbound or rebound it meanwhile, so the answer does not apply to it.
      if (this.#byJarvisSession.get(binding.jarvisSessionID) !== binding) continue;
      const directory = found.get(binding.sessionID);
      if (directory === binding.directory) kept.push(binding);
      else if (directory !== undefined) moved.push({ ...binding, foundDirectory: directory });
      else {
        gone.push(binding);
        this.forget(binding.sessionID);
      }
    }
    for (const { sessionID, foundDirectory } of moved) {
      this.learn({ id: sessionID, directory: foundDirectory });
    }
    return { kept, gone, moved };
  }

  /** Adds bindings that were checked by `parseSnapshot`. */
  restore(bindings: readonly SessionBinding[]): void {
    for (const { jarvisSessionID, sessionID, directory } of bindings) {
      this.bind(jarvisSessionID, { id: sessionID, directory });
    }
  }

  /** Remembers where a session belongs. */
  learn(session: SessionOrigin): void {
    const { id, directory, parentID } = session;
    const seen = this.#seen.get(id);
    if (seen?.directory === directory && seen.parentID === parentID) return;
    this.#seen.set(id, { id, directory, parentID });
  }

  /** Forgets a session that is gone from the server, and removes its binding. */
  forget(sessionID: string): void {
    const binding = this.#bySession.get(sessionID);
    if (binding !== undefined) this.unbind(binding.jarvisSessionID);
    this.#seen.delete(sessionID);
  }

  /** Whether a jarvis session is bound to `sessionID` or to one of its ancestors. */
  isBound(sessionID: string): boolean {
    return this.#nearest(sessionID, (id) => this.#bySession.has(id)) !== undefined;
  }

  /**
   * The nearest of `sessionID` and its ancestors that this client has not seen; it knows no ancestor beyond that one.
   */
  firstUnknownAncestor(sessionID: string): string | undefined {
    return this.#nearest(sessionID, (id) => !this.#seen.has(id));
  }

  /** Whether `sessionID` is `rootID` or a descendant of it, as far as this client has seen. */
  isWithin(sessionID: string, rootID: string): boolean {
    return this.#nearest(sessionID, (id) => id === rootID) !== undefined;
  }

  /** The first of `sessionID` and its known ancestors for which `isIt` returns `true`. */
  #nearest(sessionID: string, isIt: (id: string) => boolean): string | undefined {
    // The parents that a server reports may form a circle.
    const passed = new Set<string>();
    let current: string | undefined = sessionID;
    while (current !== undefined && !isIt(current)) {
      passed.add(current);
      const parentID: string | undefined = this.#seen.get(current)?.parentID;
      current = parentID !== undefined && passed.has(parentID) ? undefined : parentID;
    }
    return current;
  }
}

function assertJarvisSessionID(jarvisSessionID: unknown): void {
  if (typeof jarvisSessionID !== 'string' || jarvisSessionID === '') {
    throw new TypeError('Expected jarvisSessionID to be a non-empty string.');
  }
}

/** Makes the part of the registry that users of the client see. */
export function sessionMapOf(registry: SessionRegistry, locate: LocateSessions): SessionMap {
  return {
    bind: (jarvisSessionID, session) => registry.bind(jarvisSessionID, session),
    unbind: (jarvisSessionID) => registry.unbind(jarvisSessionID),
    get: (jarvisSessionID) => registry.get(jarvisSessionID),
    directoryOf: (sessionID) => registry.directoryOf(sessionID),
    list: () => registry.list(),
    reconcile: (options) => registry.reconcile(locate, options),
  };
}
