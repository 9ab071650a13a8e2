import { abortable, delay, onAbort } from '../../core/abort.js';
import { isPermanent } from '../../errors.js';
import { realTime } from '../../core/real-time.js';
import { EventStream, gapEvent } from '../events/event-stream.js';
import type { EventHub } from '../events/hub.js';
import { decodeEnvelope, EVENTS_PATH, readFrames } from '../events/sse.js';
import type { Http } from '../http/http.js';
import type { OpenCodeEvent } from '../schema/event.js';

/** What an emulated event stream needs. */
export interface EventResponseInit {
  readonly directory: string;
  readonly http: Http;
  readonly hub: EventHub;
}

/**
 * How long after the beginning an older event may still come: OpenCode 1.18.33 delivers up to 0.8 s late. After that
 * the stream compares no ids, because their time starts again from zero every 2.2 years.
 */
const LATE_MS = 10_000;

/** The longest first frame to accept: `server.connected` has some 100 bytes on OpenCode 1.18.33. */
const MAX_FIRST_FRAME_BYTES = 64 * 1024;

/** How soon to ask the server again where a subscription begins. */
const RETRY_MS = 100;

/**
 * Answers with an event stream in the server's form, fed by the client's own connection: its subscriber neither loads
 * the instance nor ends with it. The stream begins where a subscription of its own would: it leaves out events that the
 * server sent before, also when they arrive later. `jarvis.gap` marks where events may be missing, also those that a
 * slow reader did not take in time.
 */
export async function eventResponse(
  init: EventResponseInit,
  signal: AbortSignal,
  toFrame: (event: OpenCodeEvent) => object,
): Promise<Response> {
  const { http, hub, directory } = init;
  // Listens before it asks for the beginning, so that it misses nothing after it.
  const events = repoEvents(hub, directory);
  let beginning: Beginning;
  try {
    // Asks at once, so that the subscription begins as early as one of its own.
    const early = readBeginning(http, signal).catch(() => undefined);
    await abortable(events.ready, signal);
    beginning = (await early) ?? (await beginWhenUp(init, signal));
  } catch (error) {
    await events.close();
    throw error;
  }
  const encoder = new TextEncoder();
  const encode = (event: OpenCodeEvent): Uint8Array =>
    encoder.encode(`data: ${stringify(toFrame(event)) ?? JSON.stringify(toFrame(MISSED_EVENT))}\n\n`);
  const reader = events[Symbol.asyncIterator]();
  let detach = (): void => undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const { id } = beginning;
      controller.enqueue(encode({ directory: undefined, id, type: 'server.connected', properties: {} }));
      detach = onAbort(signal, () => {
        controller.error(signal.reason);
        void events.close();
      });
    },
    async pull(controller) {
      try {
        let next = await reader.next();
        while (next.done !== true && beginning.isAfter(next.value)) next = await reader.next();
        if (next.done !== true) return controller.enqueue(encode(next.value));
        detach();
        if (!signal.aborted) controller.close();
      } catch (error) {
        detach();
        controller.error(error);
      }
    },
    async cancel() {
      detach();
      await events.close();
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

/** Stands for an event that cannot be written. */
const MISSED_EVENT = gapEvent('overflow', 1, []);

/** Writes a value as JSON; `undefined` when it is nested so deep that writing it overflows the stack. */
function stringify(value: object): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/**
 * Where a subscription begins. The ids of the server's events are in the order of time, and the server makes one when a
 * subscription begins.
 */
class Beginning {
  readonly id: string;
  readonly #readAt = realTime.now();
  #isOver = false;

  constructor(id: string) {
    this.id = id;
  }

  /**
   * Whether the subscription begins after the event, which then does not belong to it. Events of this library have no
   * id.
   */
  isAfter({ id }: OpenCodeEvent): boolean {
    if (this.#isOver || id === '') return false;
    this.#isOver = id > this.id || realTime.now() - this.#readAt > LATE_MS;
    return !this.#isOver;
  }
}

/** Asks where the subscription begins until the server answers: it may be restarting. */
async function beginWhenUp({ http, hub }: EventResponseInit, signal: AbortSignal): Promise<Beginning> {
  for (;;) {
    await abortable(hub.connect(), signal);
    try {
      return await readBeginning(http, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (isPermanent(error) || http.closed.aborted) throw error;
      await delay(RETRY_MS, signal);
    }
  }
}

/** Opens a subscription at the server, reads the id in its first frame, and ends it. This loads no instance. */
async function readBeginning(http: Http, signal: AbortSignal): Promise<Beginning> {
  const subscription = new AbortController();
  const detach = [signal, http.closed].map((each) => onAbort(each, () => subscription.abort(each.reason)));
  let id: string | undefined;
  const onFrame = (data: string): void => {
    const envelope = decodeEnvelope(data);
    id ??= envelope.kind === 'event' ? envelope.event.id : '';
    subscription.abort();
  };
  try {
    const body = await http.openEventStream(EVENTS_PATH, subscription.signal);
    const options = { signal: subscription.signal, maxFrameBytes: MAX_FIRST_FRAME_BYTES };
    await readFrames(body, { onActivity: () => undefined, onFrame }, options);
    if (id === undefined) subscription.signal.throwIfAborted();
    return new Beginning(id ?? '');
  } catch (error) {
    // Ending it after its first frame is no failure.
    if (id === undefined) throw error;
    return new Beginning(id);
  } finally {
    for (const each of detach) each();
    subscription.abort();
  }
}

/** The events of a directory, and the heartbeats, which belong to no directory. */
function repoEvents(hub: EventHub, directory: string): EventStream {
  return new EventStream((stream) => {
    const isHeartbeat = (type: string): boolean => type === 'server.heartbeat';
    const push = (event: OpenCodeEvent, bytes: number): void => stream.push(event, bytes);
    const lost = (error: unknown): void => stream.fail(error);
    const detachAll = [
      hub.listen(directory, { event: push, lost, reads: () => true }),
      hub.listen(undefined, {
        wants: isHeartbeat,
        event: (event, bytes) => {
          if (isHeartbeat(event.type)) push(event, bytes);
        },
        lost,
      }),
    ];
    const detach = (): void => {
      for (const one of detachAll) one();
    };
    return { live: hub.connect(), detach };
  });
}
