import { abortable, AbortScope, deferred, resolvesWithin } from '../../../core/abort.js';
import { realTime } from '../../../core/real-time.js';
import { isPermanent, TimeoutError } from '../../../errors.js';
import type { TurnAsks } from '../../asks/resolver.js';
import { sessionIDOf } from '../../events/event-stream.js';
import type { EventHub } from '../../events/hub.js';
import type { EventType } from '../../schema/event.js';
import type { Choice } from '../../sessions/choices.js';
import type { TurnContext } from '../context.js';
import type { TurnPoll } from './poll.js';
import type { TurnRequest } from '../request.js';

/** How long the server may be out of reach before a turn gives up. */
export const UNREACHABLE_LIMIT_MS = 60_000;
/** How long the event stream may take to come up before a prompt is sent. */
const CONNECT_LIMIT_MS = 60_000;

/** How long the server may take to say what a session does. */
const STATUS_LIMIT_MS = 10_000;
/** How long to wait for an event of a busy session before asking the server: an event may be lost. */
const BUSY_RECHECK_MS = 5_000;
/**
 * How long a session must have been idle. OpenCode 1.18.33 says it twice when the provider has failed, 175 ms apart, and stores a
 * prompt that comes between without ever answering it.
 */
const SETTLE_MS = 500;
/** By how much longer at most, at random: of several clients that wait for one session, one comes first. */
const JITTER_MS = 250;
/** The events that may tell of the end of a session's work. */
const ENDS: ReadonlySet<string> = new Set<EventType>([
  'session.idle',
  'session.deleted',
  'server.instance.disposed',
  'jarvis.gap',
]);

/** Checks that the session is of this repository and decides who answers; tries again when the server does not answer. */
export async function prepareTurn(
  context: TurnContext,
  request: TurnRequest,
  poll: TurnPoll,
  signal: AbortSignal,
): Promise<Choice> {
  const deadline = realTime.now() + UNREACHABLE_LIMIT_MS;
  for (;;) {
    try {
      const choice = await context.prepare(request, { signal, timeoutMs: poll.limitMs });
      poll.noteAnswer();
      return choice;
    } catch (error) {
      if (!(error instanceof TimeoutError) || signal.aborted || realTime.now() > deadline) throw error;
      poll.noteFailure(error);
    }
  }
}

/** Waits until the event stream delivers. */
export async function connectEvents(hub: EventHub, signal: AbortSignal): Promise<void> {
  if (hub.isLive) return signal.throwIfAborted();
  const limit = new AbortScope([signal], {
    timeoutMs: CONNECT_LIMIT_MS,
    reason: (timeoutMs) => new TimeoutError('Opening the event stream', { phase: 'events', timeoutMs }),
  });
  try {
    await abortable(hub.connect(), limit.signal);
  } finally {
    limit.end();
  }
}

/** Takes the events of a turn's repository and what its session asks; the returned function ends that. */
export function listenTo(
  { hub, asks, transport }: TurnContext,
  turn: TurnAsks,
  listener: Parameters<EventHub['listen']>[1],
): () => void {
  const unfollow = asks.follow(turn);
  const unlisten = hub.listen(transport.directory, listener);
  return () => {
    unlisten();
    unfollow();
  };
}

/**
 * Waits until the session is idle. A server that does not tell whether it is does not hold a prompt up; once it was seen busy, it is
 * asked again.
 *
 * @param onBusy - called once when it is not idle; what it throws ends the wait.
 */
export async function untilIdle(
  { sessionID, hub, transport, isIdle }: TurnContext,
  signal: AbortSignal,
  onBusy: () => void,
): Promise<void> {
  let ended = deferred();
  let isBusy = false;
  const asksAgain = async (): Promise<boolean> => {
    try {
      return !(await isIdle({ signal, timeoutMs: STATUS_LIMIT_MS, retry: false }));
    } catch (error) {
      if (signal.aborted) throw error;
      return isBusy && !isPermanent(error);
    }
  };
  if (!(await asksAgain())) return;
  onBusy();
  isBusy = true;
  const unlisten = hub.listen(transport.directory, {
    wants: (type) => ENDS.has(type),
    event: (event) => {
      const { type } = event;
      if (!type.startsWith('session.') || sessionIDOf(event) === sessionID) ended.resolve();
    },
    lost: () => ended.resolve(),
  });
  const hearsOfEnd = async (ms: number): Promise<boolean> => {
    const isHeard = await resolvesWithin(ms, ended.promise, signal);
    ended = deferred();
    return isHeard;
  };
  try {
    // The end may have come between the first answer and the first event that is listened to.
    do {
      while (await asksAgain()) await hearsOfEnd(BUSY_RECHECK_MS);
    } while ((await hearsOfEnd(SETTLE_MS + Math.random() * JITTER_MS)) || (await asksAgain()));
  } finally {
    unlisten();
  }
}
