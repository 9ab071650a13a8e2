import { onAbort } from '../../core/abort.js';
import { realClock } from '../../core/clock.js';
import type { EventHub } from '../events/hub.js';
import { sessionIDOf } from '../events/event-stream.js';
import type { OpenCodeEvent } from '../schema/event.js';

/** How long what the server has accepted may take to be seen to begin. */
const BEGIN_LIMIT_MS = 20_000;

/** What is needed to keep an instance for work that the server has accepted. */
export interface AcceptedWorkInit {
  readonly hub: Pick<EventHub, 'connect' | 'listen'>;
  readonly directory: string;
  /** Ends everything. */
  readonly closed: AbortSignal;
  /** Keeps the instance until the returned function is called. */
  readonly hold: () => () => void;
}

/**
 * Keeps an instance from the moment work is sent to the server until the server is seen to have begun it: from then on the
 * work itself keeps the instance. Between the two OpenCode 1.18.33 shows no sign of a turn on a cold instance, for up to 0.9 s.
 */
export class AcceptedWork {
  readonly #isBegun: (event: OpenCodeEvent) => boolean;
  readonly #end: () => void;
  #hasBegun = false;
  #isAccepted = false;

  /** @param isBegun - whether an event tells that the work has begun, or that there will be none. */
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
    // Nobody else may have needed the events so far.
    else hub.connect().catch(() => undefined);
  }

  /** The server has accepted it, or may have: it is waited for, but not for ever. */
  accepted(): void {
    this.#isAccepted = true;
    if (this.#hasBegun) this.#end();
    else realClock.after(BEGIN_LIMIT_MS, this.#end);
  }

  /** It is done, or the server has refused it. */
  over(): void {
    this.#end();
  }

  #take(event: OpenCodeEvent): void {
    this.#hasBegun ||= this.#isBegun(event);
    if (this.#hasBegun && this.#isAccepted) this.#end();
  }
}

/** Tells from events whether a turn of a session has begun, has an answer, or will never begin. */
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
        // The end of an earlier answer can be told late.
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

/** Tells from events whether a message of a session was stored, which is all that comes of a prompt without reply. */
export function messageIsStored(sessionID: string): (event: OpenCodeEvent) => boolean {
  const fails = turnBegins(sessionID);
  return (event) => fails(event) || (event.type === 'message.updated' && sessionIDOf(event) === sessionID);
}

/** Tells from events whether a terminal was opened: from then on it keeps the instance itself. */
export function terminalOpens({ type }: OpenCodeEvent): boolean {
  return type === 'pty.created' || type === 'pty.exited';
}
