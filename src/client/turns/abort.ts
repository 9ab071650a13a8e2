import { delay } from '../../core/abort.js';
import { realTime } from '../../core/real-time.js';
import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import { booleanSchema } from '../schema/server.js';
import { readStatuses } from '../sessions/statuses.js';
import { readMessagePage } from '../sessions/messages.js';
import { answersOf } from './result/turn-messages.js';

// An abort before the answer to the first prompt of an instance begins breaks that instance: OpenCode 1.18.33 then
// fails every prompt in it with "All fibers interrupted without error" until it is disposed.

/** How long to wait for the answer to begin before aborting anyway, and how often to look. */
const ANSWER_LIMIT_MS = 15_000;
const ANSWER_RECHECK_MS = 100;

/** Waits until an abort is safe: the session has begun to answer, or is idle. */
export async function untilAnswering(
  transport: RepoTransport,
  sessionID: string,
  options: RequestOptions | undefined,
): Promise<void> {
  const deadline = realTime.now() + ANSWER_LIMIT_MS;
  while (realTime.now() < deadline) {
    const { items } = await readMessagePage(transport, { sessionID, limit: 1 }, options);
    const role = items[0]?.info.role;
    // A message that the server cannot send is a prompt.
    if (role !== 'user' && role !== 'unreadable') return;
    if ((await readStatuses(transport, options))[sessionID] === undefined) return;
    await delay(ANSWER_RECHECK_MS, options?.signal);
  }
}

/**
 * Whether an answer to the prompt, or to a message that continued it, has begun; `false` when the messages cannot be
 * read.
 */
export async function hasAnswer(
  transport: RepoTransport,
  sessionID: string,
  messageID: string,
  options?: RequestOptions,
): Promise<boolean> {
  try {
    const { items } = await readMessagePage(transport, { sessionID, limit: 4 }, options);
    return answersOf(messageID, items).length > 0;
  } catch {
    return false;
  }
}

/** Aborts what the session does. The server answers `true` for an idle one too. */
export async function sendAbort(
  transport: RepoTransport,
  sessionID: string,
  options?: RequestOptions,
): Promise<void> {
  const path = route`/session/${sessionID}/abort`;
  await transport.send({ method: 'POST', path, schema: booleanSchema }, options);
}
