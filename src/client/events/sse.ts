import { createParser } from 'eventsource-parser';
import type { EventType, OpenCodeEvent } from '../schema/event.js';

/** What one frame of the stream was. */
export type Frame =
  | { readonly kind: 'event'; readonly event: OpenCodeEvent }
  /** A second delivery of an event, under the same id, for replicating clients. */
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Decodes one envelope of `/global/event`: `{ directory?, payload: { id, type, properties } }`. */
export function decodeEnvelope(data: string): Frame {
  let envelope: unknown;
  try {
    envelope = JSON.parse(data);
  } catch {
    return { kind: 'malformed', reason: 'not valid JSON' };
  }
  if (!isRecord(envelope) || !isRecord(envelope.payload) || typeof envelope.payload.type !== 'string') {
    return { kind: 'malformed', reason: 'no payload with a type' };
  }
  const { directory, payload } = envelope;
  if (payload.type === 'sync') return { kind: 'duplicate' };
  const event = {
    // The server files what concerns all directories under the name "global", which is no directory.
    directory: typeof directory === 'string' && directory !== 'global' ? directory : undefined,
    id: typeof payload.id === 'string' ? payload.id : '',
    type: payload.type as EventType,
    properties: isRecord(payload.properties) ? payload.properties : {},
  };
  return { kind: 'event', event: event as OpenCodeEvent };
}

/**
 * Reads a server-sent event stream to its end, calling `onFrame` for each frame as it completes.
 * A frame cut off by the end of the stream is not delivered.
 */
export async function readFrames(
  body: ReadableStream<Uint8Array>,
  onFrame: (frame: Frame) => void,
): Promise<void> {
  const parser = createParser({ onEvent: (message) => onFrame(decodeEnvelope(message.data)) });
  const decoder = new TextDecoder();
  for await (const chunk of body) parser.feed(decoder.decode(chunk, { stream: true }));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
