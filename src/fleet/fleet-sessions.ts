import { aBoolean, aSignal, assertOptions, positiveMsOrFalse, type OptionChecks } from '../core/checks.js';
import type {
  BindableSession,
  ReconcileOptions,
  ReconcileResult,
  SessionBinding,
  SessionMap,
  SessionRegistry,
} from '../registry/session-registry.js';

/** One host conversation, and the OpenCode session of a server behind it. */
export interface FleetBinding<Name extends string = string> extends SessionBinding {
  /** The member of the fleet that has the session. Session ids are unique for each server only. */
  readonly server: Name;
}

/** Options of `fleet.sessions.reconcile()`. */
export interface FleetReconcileOptions extends ReconcileOptions {
  /** Whether members that sleep are started for it. @default false: their bindings are `unknown` */
  readonly wake?: boolean | undefined;
}

/** What `fleet.sessions.reconcile()` found for each binding. */
export interface FleetReconcileResult<Name extends string = string> {
  /** The session belongs to the directory of the binding. */
  readonly kept: readonly FleetBinding<Name>[];
  /** The session does not exist any more; its binding was removed. */
  readonly gone: readonly FleetBinding<Name>[];
  /** The session belongs to `foundDirectory` now. */
  readonly moved: readonly (FleetBinding<Name> & { readonly foundDirectory: string })[];
  /** Its server was not asked, because it sleeps or is none of this fleet, or did not answer, for `error`. Nothing was changed. */
  readonly unknown: readonly (FleetBinding<Name> & { readonly error?: unknown })[];
}

/** Maps each jarvis session of a fleet to its session. Jarvis session ids are unique in the fleet. */
export interface FleetSessionMap<Name extends string = string> {
  /**
   * Binds a jarvis session to a session; binding the same pair again does nothing.
   *
   * @param options - `server` has the session. @default the server that has its directory
   * @throws {SessionAlreadyBoundError} when either side is bound to something else.
   * @throws {RepoPlacedError} when another server has the directory.
   */
  bind(
    jarvisSessionID: string,
    session: BindableSession,
    options?: { readonly server?: Name | undefined },
  ): void;
  /** Removes a binding; `false` when there was none. It does not change the OpenCode session. */
  unbind(jarvisSessionID: string): boolean;
  /** The binding of a jarvis session. */
  get(jarvisSessionID: string): FleetBinding<Name> | undefined;
  /** The directory that a session belongs to now, if its server's client has seen the session. @param server - @default any that has seen it */
  directoryOf(sessionID: string, server?: Name): string | undefined;
  /** Every binding, by server, oldest first. */
  list(): FleetBinding<Name>[];
  /**
   * Compares the bindings with the servers that run, or with `wake` all; see {@link SessionMap.reconcile}. It loads no instance, and a
   * server that does not answer changes nothing for the others.
   */
  reconcile(options?: FleetReconcileOptions): Promise<FleetReconcileResult<Name>>;
}

/** What the map needs of each member. */
export interface BindingMember<Name extends string> {
  /** Tells it from the others, also of one profile. */
  readonly id: string;
  readonly name: Name;
  readonly bindings: SessionRegistry;
  readonly sessions: SessionMap;
  /** Whether it runs. */
  readonly isAwake: boolean;
}

/** What the map needs of the fleet. */
export interface FleetSessionsInit<Name extends string> {
  readonly members: () => readonly BindingMember<Name>[];
  /** Bindings to servers that this fleet does not have; they are kept as they are. */
  readonly strangers: readonly FleetBinding<Name>[];
  /** The member of a directory, and the directory placed on it. */
  readonly place: (directory: string, server: Name | undefined) => BindingMember<Name>;
}

const reconcileChecks: OptionChecks<FleetReconcileOptions> = {
  signal: aSignal,
  timeoutMs: positiveMsOrFalse,
  wake: aBoolean,
};

/** The bindings of all members, and of servers that are gone. */
export class FleetSessions<Name extends string> implements FleetSessionMap<Name> {
  readonly #init: FleetSessionsInit<Name>;
  readonly #place: FleetSessionsInit<Name>['place'];
  readonly #strangers: Map<string, FleetBinding<Name>>;

  constructor(init: FleetSessionsInit<Name>) {
    this.#init = init;
    this.#place = init.place;
    this.#strangers = new Map(
      init.strangers.map((binding) => [binding.jarvisSessionID, Object.freeze(binding)]),
    );
  }

  bind(
    jarvisSessionID: string,
    session: BindableSession,
    options?: { readonly server?: Name | undefined },
  ): void {
    this.#place(session.directory, options?.server).bindings.bind(jarvisSessionID, session);
  }

  unbind(jarvisSessionID: string): boolean {
    return (
      this.#strangers.delete(jarvisSessionID) ||
      this.#members.some(({ bindings }) => bindings.unbind(jarvisSessionID))
    );
  }

  get(jarvisSessionID: string): FleetBinding<Name> | undefined {
    for (const { name, bindings } of this.#members) {
      const binding = bindings.get(jarvisSessionID);
      if (binding !== undefined) return { ...binding, server: name };
    }
    return this.#strangers.get(jarvisSessionID);
  }

  directoryOf(sessionID: string, server?: Name): string | undefined {
    for (const { name, bindings } of this.#members) {
      const directory = server === undefined || name === server ? bindings.directoryOf(sessionID) : undefined;
      if (directory !== undefined) return directory;
    }
    return undefined;
  }

  list(): FleetBinding<Name>[] {
    const own = this.#members.flatMap(({ name, bindings }) => bindings.list().map(onServer(name)));
    return [...own, ...this.#strangers.values()];
  }

  async reconcile(options?: FleetReconcileOptions): Promise<FleetReconcileResult<Name>> {
    assertOptions('reconcile()', reconcileChecks, options);
    const { wake = false, ...rest } = options ?? {};
    const results = await Promise.all(
      this.#members.map(async (member): Promise<FleetReconcileResult<Name>> => {
        const add = onServer(member.name);
        const bindings = member.bindings.list();
        if (bindings.length === 0 || (!wake && !member.isAwake))
          return { kept: [], gone: [], moved: [], unknown: bindings.map(add) };
        try {
          const found: ReconcileResult = await member.sessions.reconcile(rest);
          return {
            kept: found.kept.map(add),
            gone: found.gone.map(add),
            moved: found.moved.map(add),
            unknown: [],
          };
        } catch (error) {
          options?.signal?.throwIfAborted();
          return {
            kept: [],
            gone: [],
            moved: [],
            unknown: bindings.map((binding) => ({ ...add(binding), error })),
          };
        }
      }),
    );
    return {
      kept: results.flatMap(({ kept }) => kept),
      gone: results.flatMap(({ gone }) => gone),
      moved: results.flatMap(({ moved }) => moved),
      unknown: [...results.flatMap(({ unknown }) => unknown), ...this.#strangers.values()],
    };
  }

  /** The bindings to servers that this fleet does not have. */
  get strangers(): FleetBinding<Name>[] {
    return [...this.#strangers.values()];
  }

  get #members(): readonly BindingMember<Name>[] {
    return this.#init.members();
  }

  /** What a jarvis session is bound to, or reserved for, anywhere but on the member of an id. */
  boundElsewhere(jarvisSessionID: string, own: string): SessionBinding | undefined {
    for (const { id, bindings } of this.#members) {
      const taken = id === own ? undefined : bindings.taken(jarvisSessionID);
      if (taken !== undefined) return taken;
    }
    return this.#strangers.get(jarvisSessionID);
  }
}

function onServer<Name extends string>(
  server: Name,
): <T extends SessionBinding>(binding: T) => T & { server: Name } {
  return (binding) => ({ ...binding, server });
}
