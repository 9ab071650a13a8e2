import type { EventHub } from '../client/events/hub.js';
import type { ServerLink } from '../client/http/server-link.js';
import type { TurnEngine } from '../client/turns/engine.js';
import { ServerLostError } from '../errors.js';
import type { InstanceControl } from '../instances/instance-control.js';
import type { ServerChange, ServerHandle, ServerState } from '../lifecycle/server/handle.js';
import type { SessionRegistry } from '../registry/session-registry.js';

/** What learns of the changes of a server. */
export interface Followers {
  readonly link: ServerLink;
  readonly hub: EventHub;
  readonly turns: TurnEngine;
  readonly instances: InstanceControl;
  readonly sessions: SessionRegistry;
  /** Aborts when the client can send nothing more. */
  readonly over: AbortSignal;
  /** Called when the server is lost for good. */
  readonly lost: (error: ServerLostError) => void;
}

/** The states of a server that has ended, and may come again. */
const GONE: ReadonlySet<ServerState> = new Set(['restarting', 'failed', 'asleep']);

/** Follows the changes of a server: it ends, restarts, sleeps, or is lost for good. */
export function followServer(server: ServerHandle, followers: Followers): void {
  const { link, hub, turns, instances, sessions, over, lost } = followers;
  let failure: ErrorOptions | undefined;
  const lossOf = (options?: ErrorOptions): ServerLostError =>
    new ServerLostError(`The work on ${server.label ?? 'the server'}`, options);

  /** Ends what the server did. Returns the ids of the sessions that were at work. */
  const lose = (isRequested: boolean): string[] => {
    const error = lossOf();
    link.markLost(error);
    const ids = new Set([
      ...turns.interrupt(error),
      ...instances.lose(error, isRequested ? 'server' : 'external'),
    ]);
    // A child works for the turn of its parent, so only the parent counts.
    const isChild = (id: string): boolean =>
      [...ids].some((other) => other !== id && sessions.isWithin(id, other));
    return [...ids].filter((id) => !isChild(id));
  };
  const changed = ({ state, attempt, exit, isRequested = false }: ServerChange): void => {
    if (over.aborted) return;
    const interrupted = link.isReady && GONE.has(state) ? lose(isRequested) : undefined;
    const { url, pid } = server;
    if (state === 'ready') link.markReady();
    hub.publishServerChange({
      state,
      ...(state === 'ready' && { url, ...(pid !== undefined && { pid }) }),
      ...(attempt !== undefined && { attempt }),
      ...(exit !== undefined && { exit }),
      ...(interrupted !== undefined && { interrupted }),
    });
  };

  if (server.state === 'restarting' || server.state === 'asleep') link.markLost(lossOf());
  server.on('change', (change) => {
    if (change.error !== undefined) failure = { cause: change.error };
    changed(change);
  });
  server.guardRestart?.((run, { force = false }) => instances.restart(run, force));
  server.watchIdle?.(() => instances.idleSince());
  void server.closed.then(() => lost(lossOf(failure)));
}
