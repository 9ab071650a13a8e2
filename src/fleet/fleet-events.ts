import { abortable, onAbort } from '../core/abort.js';
import type { Logger } from '../core/logger.js';
import { EventStream, gapEvent, type EventOptions } from '../client/events/event-stream.js';
import type { EventSource } from '../client/events/event-stream.js';
import type { HubListener } from '../client/events/hub-listeners.js';
import type { EventOf, EventType, OpenCodeEvent } from '../client/schema/event.js';
import { ClosedError, ServerLostError } from '../errors.js';
import type { ServerHandle } from '../lifecycle/server/handle.js';

/**
 * The event of one type, with the member of the fleet that it is of; a union on `type` of several. Only a `jarvis.gap` with reason
 * `overflow` has no `server`: it is of the reader.
 */
export type FleetEventOf<T extends EventType, Name extends string = string> = {
  [K in T]: EventOf<K> & {
    readonly server: K extends 'jarvis.gap' ? Name | undefined : Name;
    /** The repository that the server is for, with `perRepo`: several servers have one name then. */
    readonly repository?: string;
  };
}[T];

/** The events that a subscriber of some types gets: of those types, and of the library's own. */
export type FleetEvent<T extends EventType = EventType, Name extends string = string> = FleetEventOf<
  T | 'jarvis.gap' | 'jarvis.server',
  Name
>;

/**
 * The events of all members as they arrive, for one `for await` loop; those of one member are in order. A gap, and the end of a
 * server, are of the member that they name, and the stream goes on. `break`, `return`, an abort of `signal` and `close()` end it quietly.
 */
export interface FleetEventStream<T extends EventType = EventType, Name extends string = string>
  extends AsyncIterable<FleetEvent<T, Name>>, AsyncDisposable {
  /**
   * Resolves when the connections to the members that are `ready` are up. A member that starts later has a `jarvis.gap` for what may have
   * been missed until its connection was up.
   */
  readonly ready: Promise<void>;
  /** Ends the stream; a waiting loop ends quietly. */
  close(): Promise<void>;
}

/** What the stream needs of each member. */
export interface EventMember {
  readonly name: string;
  readonly repository: string | undefined;
  readonly server: ServerHandle;
  readonly listen: (listener: HubListener) => EventSource;
}

/** The members, and those that come later. */
export interface EventMembers {
  all(): readonly EventMember[];
  /** Whether there may be more later. */
  readonly mayGrow: boolean;
  /** Calls the listener for each that is made from now on; the returned function ends that. */
  onMade(listener: (member: EventMember) => void): () => void;
}

/**
 * Makes one stream of the events of all members.
 *
 * @param closed - aborts at the end of the fleet.
 */
export function fleetEvents<T extends EventType, Name extends string>(
  members: EventMembers,
  logger: Logger,
  closed: AbortSignal,
  options?: Omit<EventOptions<T>, 'hold'>,
): FleetEventStream<T, Name> {
  const stream = new EventStream<T>((own) => {
    const sources: EventSource[] = [];
    let running = 0;
    const ended = (error: unknown): void => {
      running -= 1;
      if (running === 0 && !members.mayGrow) own.fail(error);
    };
    const add = (member: EventMember): void => {
      running += 1;
      sources.push(subscribe(member, own, logger, ended));
    };
    for (const member of members.all()) add(member);
    const ends = [members.onMade(add), onAbort(closed, () => own.fail(closed.reason))];
    return {
      live: Promise.all(sources.map(({ live }) => live)).then(() => undefined),
      detach: () => {
        for (const end of ends) end();
        for (const source of sources) source.detach();
      },
    };
  }, options);
  // Every event that comes in was given its server.
  return stream as unknown as FleetEventStream<T, Name>;
}

function subscribe<T extends EventType>(
  member: EventMember,
  stream: EventStream<T>,
  logger: Logger,
  ended: (error: unknown) => void,
): EventSource {
  const { name, repository, server } = member;
  const push = (event: OpenCodeEvent, bytes: number): void => {
    const named = { ...event, server: name, ...(repository !== undefined && { repository }) };
    stream.push(named, bytes);
  };
  const listener: HubListener = {
    wants: (type) => stream.wants(type),
    event: push,
    lost: (error) => {
      if (error instanceof ClosedError || error instanceof ServerLostError) return ended(error);
      // The server refuses its events for good: the reader is told, and the others go on.
      logger.error('the events of a server cannot be read', { server: name, error: String(error) });
      push(gapEvent('reconnect', 0, []), 0);
    },
    reads: (event) => stream.reads(event),
  };
  const source = member.listen(listener);
  source.live.catch(() => undefined);
  return { live: liveOrNotReady(server, source.live), detach: () => source.detach() };
}

/** Resolves when the connection is up, or the server is not ready: nobody waits for one that sleeps or does not answer. */
async function liveOrNotReady(server: EventMember['server'], live: Promise<void>): Promise<void> {
  const notReady = new AbortController();
  const leave = server.on('state', (state) => {
    if (state !== 'ready') notReady.abort();
  });
  try {
    if (server.state === 'ready') await abortable(live, notReady.signal);
  } catch {
    // It failed, or is not ready any more.
  } finally {
    leave();
  }
}
