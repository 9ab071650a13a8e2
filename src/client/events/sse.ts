import { createParser } from 'eventsource-parser';
import { onAbort } from '../../core/abort.js';
import { ResponseTooLargeError, type RequestTarget } from '../../errors.js';
import { LineDecoder } from './line-decoder.js';
import type { Decoded, EventHead } from '../dialect/dialect.js';
import type { EventType, OpenCodeEvent } from '../schema/event.js';

/** The route of the events of every directory. */
export const EVENTS_PATH = '/global/event';

/** OpenCode 1.18.33 accepts prompts of 60 MB, and sends them back as events. */
export const DEFAULT_MAX_EVENT_BYTES = 128 * 1024 * 1024;

/** How long a head may be, in UTF-16 code units; the longest directory that a request can name is shorter. */
const MAX_HEAD = 64 * 1024;

/** The type of second deliveries. */
export const DUPLICATE_TYPE = 'sync';

/** Envelopes as OpenCode 1.18.33 writes them: the directory first, then the project, the event's id and its type. */
const HEAD =
  /^\{"directory":"([^"\\]*(?:\\.[^"\\]*)*)",(?:"project":"[^"\\]*",)?(?:"workspace":"[^"\\]*",)?"payload":\{(?:"id":"[^"\\]*",)?"type":"([^"\\]*)"/;

const PAYLOAD = '"payload":';

/**
 * Reads the beginning of an envelope without parsing the rest, which takes far longer. `undefined` when the envelope begins in
 * another way, has a longer head or no directory in front: then {@link decodeEnvelope} has to parse it.
 */
export function peekEnvelope(data: string): EventHead | undefined {
  const [, directory, type] = HEAD.exec(data.slice(0, MAX_HEAD)) ?? [];
  if (type === undefined || directory === undefined) return undefined;
  return { directory: directoryOf(directory.includes('\\') ? unescaped(directory) : directory), type };
}

/**
 * Decodes one envelope of `/global/event`: `{ directory?, payload: { id, type, properties } }`.
 *
 * @param head - what {@link peekEnvelope} read of it, so that it need not be parsed again.
 */
export function decodeEnvelope(data: string, head?: EventHead): Decoded {
  const envelope = (head && parsePayload(data, head)) ?? parseJson(data);
  if (envelope === undefined) return { kind: 'malformed', reason: 'not valid JSON' };
  if (!isRecord(envelope) || !isRecord(envelope.payload) || typeof envelope.payload.type !== 'string') {
    return { kind: 'malformed', reason: 'no payload with a type' };
  }
  const { directory, payload } = envelope;
  if (payload.type === DUPLICATE_TYPE) return { kind: 'duplicate' };
  const event = {
    directory: directoryOf(directory),
    id: typeof payload.id === 'string' ? payload.id : '',
    type: payload.type as EventType,
    properties: isRecord(payload.properties) ? payload.properties : {},
  };
  return { kind: 'event', event: event as OpenCodeEvent };
}

/**
 * Parses what follows the head, up to the end of the envelope. `undefined` when more than the payload follows: that is no
 * JSON by itself.
 */
function parsePayload(data: string, { directory }: EventHead): object | undefined {
  if (!data.endsWith('}')) return undefined;
  // Quotes in the text of a string are escaped, so the first match is the name of the field.
  const payload = parseJson(data.slice(data.indexOf(PAYLOAD) + PAYLOAD.length, -1));
  return payload === undefined ? undefined : { directory: directory && detached(directory), payload };
}

const MAX_DETACHED = 1_000;
const detachedTexts = new Map<string, string>();

/** A copy of a text: one that was cut out of a frame keeps the whole frame in memory. */
function detached(text: string): string {
  let own = detachedTexts.get(text);
  if (own === undefined) {
    own = JSON.parse(JSON.stringify(text)) as string;
    if (detachedTexts.size >= MAX_DETACHED) detachedTexts.clear();
    detachedTexts.set(own, own);
  }
  return own;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The callbacks of a stream that is read. */
export interface FrameHandler {
  /** Called when bytes have arrived, whatever they are. */
  onActivity(): void;
  /** Called with the data of each complete frame. */
  onFrame(data: string): void;
}

/**
 * Reads a server-sent event stream to its end. A frame cut off by the end of the stream is not delivered. When `signal`
 * aborts, the stream is cancelled and nothing more is delivered.
 *
 * @throws {ResponseTooLargeError} for a frame of more than `maxFrameBytes`, and whatever the stream fails with.
 */
export async function readFrames(
  body: ReadableStream<Uint8Array>,
  handler: FrameHandler,
  {
    signal,
    maxFrameBytes = DEFAULT_MAX_EVENT_BYTES,
    target = { method: 'GET', path: EVENTS_PATH },
  }: {
    signal?: AbortSignal | undefined;
    maxFrameBytes?: number | undefined;
    /** What answered with the stream. @default the events of OpenCode */
    target?: RequestTarget;
  } = {},
): Promise<void> {
  const tooLong = (): ResponseTooLargeError =>
    new ResponseTooLargeError(target, maxFrameBytes, { isEvent: true });
  const parser = createParser({
    maxBufferSize: maxFrameBytes,
    onEvent: ({ data }) => handler.onFrame(data),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') throw tooLong();
    },
  });
  const decoder = new LineDecoder();
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel(signal?.reason).catch(() => undefined);
  const detach = onAbort(signal, cancel);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal?.aborted === true) return;
      handler.onActivity();
      for (const lines of decoder.take(value)) parser.feed(lines);
      if (decoder.pendingBytes > maxFrameBytes) throw tooLong();
    }
  } finally {
    detach();
    // Does nothing to a stream that has ended.
    cancel();
  }
}

/** OpenCode 1.18.33 names "global" as the directory of what concerns all of them. */
function directoryOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== 'global' ? value : undefined;
}

/** Decodes the text between the quotes of a JSON string. */
function unescaped(text: string): unknown {
  return parseJson(`"${text}"`);
}

/** Whether a value is an object of JSON, not a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
