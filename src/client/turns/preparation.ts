import { abortable, AbortScope } from '../../core/abort.js';
import { realTime } from '../../core/real-time.js';
import { TimeoutError } from '../../errors.js';
import type { EventHub } from '../events/hub.js';
import type { Choice } from '../sessions/choices.js';
import type { TurnContext } from './context.js';
import type { TurnPoll } from './poll.js';
import type { TurnRequest } from './request.js';

/** How long the server may be out of reach before a turn gives up. */
export const UNREACHABLE_LIMIT_MS = 60_000;
/** How long the event stream may take to come up before a prompt is sent. */
const CONNECT_LIMIT_MS = 60_000;

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
