import { describe, expect, it } from 'vitest';
import { readFrames, type Frame } from '../../../../src/client/events/sse.js';

/** Reads chunks as one stream; a string is sent as its UTF-8 bytes. */
async function framesOf(chunks: readonly (string | Uint8Array)[]): Promise<Frame[]> {
  const frames: Frame[] = [];
  const bytes = chunks.map((chunk) => (typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk));
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of bytes) controller.enqueue(chunk);
      controller.close();
    },
  });
  await readFrames(body, (frame) => frames.push(frame));
  return frames;
}

const envelope = {
  directory: '/a',
  project: 'p',
  payload: { id: 'evt_1', type: 'session.idle', properties: { sessionID: 'ses_1' } },
};
const event = { directory: '/a', id: 'evt_1', type: 'session.idle', properties: { sessionID: 'ses_1' } };
const line = `data: ${JSON.stringify(envelope)}\n\n`;

describe('the event stream decoder', () => {
  it('reads one event per frame', async () => {
    expect(await framesOf([line + line])).toEqual([
      { kind: 'event', event },
      { kind: 'event', event },
    ]);
  });

  it('does not care where the network cuts, not even within a character', async () => {
    const bytes = new TextEncoder().encode(line.replace('ses_1', 'sés_🦊'));
    const frames = await framesOf([...bytes].map((byte) => Uint8Array.of(byte)));
    expect(frames).toMatchObject([{ kind: 'event', event: { properties: { sessionID: 'sés_🦊' } } }]);
  });

  it.each([
    ['CRLF', line.replaceAll('\n', '\r\n')],
    ['a byte order mark', `\uFEFF${line}`],
    ['comments', `: hello\n\n${line}`],
    ['data over several lines', line.replace('"project"', '\ndata: "project"')],
  ])('understands %s', async (_name, text) => {
    expect(await framesOf([text])).toEqual([{ kind: 'event', event }]);
  });

  it('leaves a frame out that the end of the stream cut off', async () => {
    expect(await framesOf([line, line.slice(0, -2)])).toHaveLength(1);
  });

  it('marks second deliveries and what it cannot read, and goes on', async () => {
    const sync = `data: ${JSON.stringify({ directory: '/a', payload: { type: 'sync', syncEvent: { id: 'evt_1' } } })}\n\n`;
    const frames = await framesOf([sync, 'data: {oops\n\n', 'data: {"payload":{}}\n\n', 'data: 7\n\n', line]);
    expect(frames.map((frame) => frame.kind)).toEqual([
      'duplicate',
      'malformed',
      'malformed',
      'malformed',
      'event',
    ]);
  });

  it('takes types it does not know, and events of the whole server', async () => {
    const unknown = { payload: { id: 'evt_2', type: 'brand.new', properties: { a: 1 }, extra: true } };
    const global = { directory: 'global', payload: { id: 'evt_3', type: 'global.disposed', properties: {} } };
    const frames = await framesOf([unknown, global].map((data) => `data: ${JSON.stringify(data)}\n\n`));
    expect(frames).toEqual([
      {
        kind: 'event',
        event: { directory: undefined, id: 'evt_2', type: 'brand.new', properties: { a: 1 } },
      },
      {
        kind: 'event',
        event: { directory: undefined, id: 'evt_3', type: 'global.disposed', properties: {} },
      },
    ]);
  });

  it('reads a frame of several megabytes', async () => {
    const big = {
      ...envelope,
      payload: { ...envelope.payload, properties: { text: 'x'.repeat(8_000_000) } },
    };
    const text = `data: ${JSON.stringify(big)}\n\n`;
    const chunks = Array.from({ length: Math.ceil(text.length / 65_536) }, (_, index) =>
      text.slice(index * 65_536, (index + 1) * 65_536),
    );
    const [frame] = await framesOf(chunks);
    expect(frame?.kind === 'event' && JSON.stringify(frame.event).length).toBeGreaterThan(8_000_000);
  });
});
