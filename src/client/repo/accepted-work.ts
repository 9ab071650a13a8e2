import { onAbort } from '../../core/abort.js';
import { realClock } from '../../core/clock.js';
import type { EventHub } from '../events/hub.js';
import { sessionIDOf } from '../events/event-stream.js';
import type { OpenCodeEvent } from '../schema/event.js';

/** How long to wait until an event shows that accepted work has begun. */
const BEGIN_LIMIT_MS = 20_000;

/** What `AcceptedWork` needs to keep an instance. */
export interface AcceptedWorkInit {
  readonly hub: Pick<EventHub, 'connect' | 'listen'>;
  readonly directory: string;
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal;
  /** Holds the instance until the caller calls the returned function. */
  readonly hold: () => () => void;
}

/**
 * Holds an instance from the moment work is sent until an event shows that the server has begun it; from then on the
 * work itself holds the instance. On a cold instance OpenCode 1.18.33 shows no sign of an accepted turn for up to 0.9
 * s.
 */
export class AcceptedWork {
  readonly #isBegun: (event: OpenCodeEvent) => boolean;
  readonly #end: () => void;
  #hasBegun = false;
  #isAccepted = false;

  /** @param isBegun - returns whether an event shows that the work has begun, or that it never will. */
  constructor(init: AcceptedWorkInit, isBegun: (event: OpenCodeEvent) => boolean) {
    const { hub, directory, closed } = init;
    this.#isBegun = isBegun;
    const release = init.hold();
    const detachAll = [
      hub.listen(directory, { event: (event) => this.#take(event), lost: () => this.#end() }),
      onAbort(closed, () => this.#end()),
    ];
    let isOver = false;
    this.#end = () => {
      if (isOver) return;
      isOver = true;
      for (const detach of detachAll) detach();
      release();
    };
    if (closed.aborted) this.#end();
    // Nobody may have opened the event stream yet.
    else hub.connect().catch(() => undefined);
  }

  /** The server has accepted the work, or may have: waits for its begin, but not for ever. */
  accepted(): void {
    this.#isAccepted = true;
    if (this.#hasBegun) this.#end();
    else realClock.after(BEGIN_LIMIT_MS, this.#end);
  }

  /** Ends the hold: the work is done, or the server has refused it. */
  over(): void {
    this.#end();
  }

  #take(event: OpenCodeEvent): void {
    this.#hasBegun ||= this.#isBegun(event);
    if (this.#hasBegun && this.#isAccepted) this.#end();
  }
}

/** Makes the test that an event shows that a turn of a session has begun, has an answer, or will never begin. */
export function turnBegins(sessionID: string): (event: OpenCodeEvent) => boolean {
  return (event) => {
    if (event.type === 'jarvis.gap') {
      return event.properties.changed.some(({ busy }) => busy.includes(sessionID));
    }
    if (sessionIDOf(event) !== sessionID) return false;
    switch (event.type) {
      case 'session.status':
        return event.properties.status.type !== 'idle';
      case 'message.updated': {
        // The event of the end of an earlier answer can come late.
        const { info } = event.properties;
        return info.role === 'assistant' && info.time.completed === undefined;
      }
      case 'session.error':
      case 'session.deleted':
        return true;
      default:
        return false;
    }
  };
}

/** Makes the test that an event shows a stored message of a session: a prompt without reply does nothing more. */
export function messageIsStored(sessionID: string): (event: OpenCodeEvent) => boolean {
  const fails = turnBegins(sessionID);
  return (event) => fails(event) || (event.type === 'message.updated' && sessionIDOf(event) === sessionID);
}

/** Whether an event shows that a terminal was opened: from then on the terminal holds the instance itself. */
export function terminalOpens({ type }: OpenCodeEvent): boolean {
  return type === 'pty.created' || type === 'pty.exited';
}
