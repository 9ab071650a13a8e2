import { abortable, delay, onAbort } from '../../core/abort.js';
import { isPermanent } from '../../errors.js';
import { realTime } from '../../core/real-time.js';
import { EventStream, gapEvent } from '../events/event-stream.js';
import type { EventHub } from '../events/hub.js';
import { decodeEnvelope, EVENTS_PATH, readFrames } from '../events/sse.js';
import type { Http } from '../http/http.js';
import type { OpenCodeEvent } from '../schema/event.js';

/** What an emulated event stream is made of. */
export interface EventResponseInit {
  readonly directory: string;
  readonly http: Http;
  readonly hub: EventHub;
}

/**
 * How long after the beginning an older event may still come: OpenCode 1.18.33 delivers up to 0.8 s late. Afterwards ids are
 * not compared any more, because their time starts again from zero every 2.2 years.
 */
const LATE_MS = 10_000;

/** As long as a first frame may be: `server.connected` has some 100 bytes on OpenCode 1.18.33. */
const MAX_FIRST_FRAME_BYTES = 64 * 1024;

/** How soon the server is asked again where a subscription begins. */
const RETRY_MS = 100;

/**
 * An event stream made of the client's own connection, in the server's form: its subscriber neither loads the instance
 * nor ends with it. It begins where a subscription of its own would: what the server has told before is left out, also when
 * it arrives later. `jarvis.gap` tells where events may be missing, also those that a slow reader has not taken in time.
 */
export async function eventResponse(
  init: EventResponseInit,
  signal: AbortSignal,
  toFrame: (event: OpenCodeEvent) => object,
): Promise<Response> {
  const { http, hub, directory } = init;
  // Listens before it begins, so that nothing after the beginning is missed.
  const events = repoEvents(hub, directory);
  let beginning: Beginning;
  try {
    // Asked at once, so that the subscription begins as early as one of its own.
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

/** `undefined` for what is nested so deep that writing it uses up the stack. */
function stringify(value: object): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Where a subscription begins: the server makes the ids of its events in the order of time, and one when it begins one. */
class Beginning {
  readonly id: string;
  readonly #readAt = realTime.now();
  #isOver = false;

  constructor(id: string) {
    this.id = id;
  }

  /** Whether it comes after the event, which is then none of the subscription. Events of this library have no id. */
  isAfter({ id }: OpenCodeEvent): boolean {
    if (this.#isOver || id === '') return false;
    this.#isOver = id > this.id || realTime.now() - this.#readAt > LATE_MS;
    return !this.#isOver;
  }
}

/** Asks where the subscription begins until the server tells: it may be restarted meanwhile. */
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

/** Begins a subscription of the server, which loads no instance, and ends it: its first frame has the id. */
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
    // To end it after its first frame is no failure.
    if (id === undefined) throw error;
    return new Beginning(id);
  } finally {
    for (const each of detach) each();
    subscription.abort();
  }
}

/** The events of a directory with the heartbeats, which are nobody's own. */
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
