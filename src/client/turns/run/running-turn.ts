import { delay } from '../../../core/abort.js';
import { realTime } from '../../../core/real-time.js';
import { TurnError } from '../../../errors.js';
import { EventBuffer } from '../../events/event-buffer.js';
import { gapEvent } from '../../events/event-stream.js';
import type { RequestOptions } from '../../http/request-options.js';
import { route } from '../../http/route.js';
import type { OpenCodeEvent } from '../../schema/event.js';
import type { StoredMessage } from '../../schema/message.js';
import { sessionListSchema, type SessionInfo, type SessionStatus } from '../../schema/session.js';
import { isAtWork, readStatuses } from '../../sessions/statuses.js';
import type { TurnContext } from '../context.js';
import { connectEvents } from './preparation.js';
import { readNewest, reachesBeyond, runningPromptOf } from '../result/stored-turn.js';
import { RECHECK_MS, START_LIMIT_MS } from '../result/verdict.js';

/** How much is kept of what happens while the stored messages are read. */
const MAX_BACKLOG = { maxEvents: 10_000, maxBytes: 64 * 1024 * 1024 };

/** A turn that the server works on, as far as it has come, with a hold on its instance. */
export interface RunningTurn {
  /** Id of its prompt. */
  readonly messageID: string;
  /** The newest messages of its session, at least back to its prompt. */
  readonly messages: readonly StoredMessage[];
  readonly status: SessionStatus;
  /** Its children at work, as far down as they are. */
  readonly children: readonly SessionInfo[];
  /** Stops listening, and gives what has happened since it began to. Call it once, and follow the events in the same task. */
  readonly takeEvents: () => Iterable<OpenCodeEvent>;
  /** Ends the hold. */
  readonly release: () => void;
}

/**
 * Finds what the session works on; `undefined` when it is idle.
 *
 * @throws {TurnError} with reason `not-started` when the session is at work and stores no message.
 */
export async function findRunningTurn(
  context: TurnContext,
  signal: AbortSignal,
): Promise<RunningTurn | undefined> {
  const { sessionID, transport, hub } = context;
  const release = await transport.acquire('turn', sessionID, signal);
  let unlisten: () => void = () => undefined;
  try {
    await connectEvents(hub, signal);
    const backlog = new EventBuffer(MAX_BACKLOG);
    let failure: { readonly error: unknown } | undefined;
    unlisten = hub.listen(transport.directory, {
      event: (event, bytes) => backlog.push(event, bytes),
      lost: (error) => {
        failure = { error };
      },
    });
    const found = await readRunningTurn(context, { signal });
    if (failure !== undefined) throw failure.error;
    if (found !== undefined) {
      const takeEvents = (): Iterable<OpenCodeEvent> => {
        unlisten();
        const dropped = backlog.takeDropped();
        const events = [...backlog.drain()].map(({ event }) => event);
        return dropped === 0 ? events : [gapEvent('overflow', dropped, []), ...events];
      };
      return { ...found, takeEvents, release };
    }
  } catch (error) {
    unlisten();
    release();
    throw error;
  }
  unlisten();
  release();
  return undefined;
}

async function readRunningTurn(
  context: TurnContext,
  options: RequestOptions,
): Promise<Omit<RunningTurn, 'takeEvents' | 'release'> | undefined> {
  const { sessionID, transport } = context;
  const deadline = realTime.now() + START_LIMIT_MS;
  do {
    const statuses = await readStatuses(transport, options);
    const status = statuses[sessionID];
    if (!isAtWork(status)) return undefined;
    const isEnough = (messages: readonly StoredMessage[]): boolean =>
      reachesBeyond(messages, runningPromptOf(messages));
    const messages = await readNewest(transport, { sessionID }, isEnough, options);
    const messageID = runningPromptOf(messages);
    if (messageID !== undefined) {
      const children = await readChildren(context, sessionID, new Set(Object.keys(statuses)), options);
      return { messageID, messages, status, children };
    }
    // The server says that a session is at work before it stores the prompt.
    await delay(RECHECK_MS, options.signal);
  } while (realTime.now() < deadline);
  const detail = 'the session is at work and has no message';
  throw new TurnError({ reason: 'not-started', sessionID, messageID: '', detail });
}

/** Reads the children of a session that are at work, with their own. */
async function readChildren(
  context: TurnContext,
  sessionID: string,
  busy: Set<string>,
  options: RequestOptions,
): Promise<SessionInfo[]> {
  busy.delete(sessionID);
  if (busy.size === 0) return [];
  const { transport } = context;
  const path = route`/session/${sessionID}/children`;
  const infos = await transport.send({ method: 'GET', path, schema: sessionListSchema }, options);
  const found: SessionInfo[] = [];
  for (const info of infos) {
    if (!busy.has(info.id) || info.directory !== transport.directory) continue;
    context.learn(info);
    found.push(info, ...(await readChildren(context, info.id, busy, options)));
  }
  return found;
}
