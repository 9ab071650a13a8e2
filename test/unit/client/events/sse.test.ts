import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { decodeEnvelope, peekEnvelope, readFrames } from '../../../../src/client/events/sse.js';

/** A stream of chunks; a string is sent as its UTF-8 bytes. */
function streamOf(chunks: readonly (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const bytes = chunks.map((chunk) => (typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk));
  return new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of bytes) controller.enqueue(chunk);
      controller.close();
    },
  });
}

/** The data of every frame. */
async function framesOf(chunks: readonly (string | Uint8Array)[]): Promise<string[]> {
  const frames: string[] = [];
  await readFrames(streamOf(chunks), { onActivity: () => undefined, onFrame: (data) => frames.push(data) });
  return frames;
}

function inChunks(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
    text.slice(index * size, (index + 1) * size),
  );
}

const envelope = {
  directory: '/a',
  project: 'p',
  payload: { id: 'evt_1', type: 'session.idle', properties: { sessionID: 'ses_1' } },
};
const event = { directory: '/a', id: 'evt_1', type: 'session.idle', properties: { sessionID: 'ses_1' } };
const data = JSON.stringify(envelope);
const frame = `data: ${data}\n\n`;

describe('the reader of the event stream', () => {
  it('delivers the data of each frame', async () => {
    expect(await framesOf([frame + frame])).toEqual([data, data]);
  });

  it('reads the same frames wherever the network cuts, even within a character', async () => {
    const bytes = new TextEncoder().encode(frame.replace('ses_1', 'sés_🦊'));
    const frames = await framesOf([...bytes].map((byte) => Uint8Array.of(byte)));
    expect(frames).toEqual([data.replace('ses_1', 'sés_🦊')]);
  });

  it.each([
    ['LF', frame],
    ['CRLF', frame.replaceAll('\n', '\r\n')],
    ['CR', `${frame.replaceAll('\n', '\r')}:\r`],
    ['a byte order mark', `\uFEFF${frame}`],
    ['comments', `: hello\n\n${frame}`],
    ['no blank after the colon', frame.replace('data: ', 'data:')],
    ['fields it has no use for', `event: message\nid: 7\nretry: 100\nother: x\nword\n${frame}`],
  ])('reads %s, in one piece and byte by byte', async (_name, text) => {
    expect(await framesOf([text])).toEqual([data]);
    const bytes = new TextEncoder().encode(text);
    expect(await framesOf([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual([data]);
  });

  it('joins the data of a frame over several lines', async () => {
    const [joined] = await framesOf([frame.replace('"project"', '\ndata: "project"')]);
    expect(JSON.parse(joined ?? '')).toEqual(envelope);
  });

  it.each([frame.slice(0, -1), frame.slice(0, -2), frame.slice(0, 20), 'da'])(
    'leaves out the frame that the end of the stream cut off: %j',
    async (cut) => {
      expect(await framesOf([frame, cut])).toEqual([data]);
    },
  );

  it('replaces bytes that are no UTF-8 and goes on with the stream', async () => {
    expect(await framesOf(['data: a', Uint8Array.of(0xff, 0xfe), `b\n\n${frame}`])).toEqual([
      'a\uFFFD\uFFFDb',
      data,
    ]);
  });

  it('reads a frame of 20 MB that comes in small pieces', async () => {
    const big = JSON.stringify({ ...envelope, text: 'ü'.repeat(10_000_000) });
    const frames = await framesOf(inChunks(`data: ${big}\n\n${frame}`, 32_768));
    expect(frames.map(({ length }) => length)).toEqual([big.length, data.length]);
  });

  it.each([
    ['in one line', 'x'.repeat(100_000)],
    ['in many lines', 'x\ndata: '.repeat(100_000)],
  ])('gives up a frame without end %s', async (_name, text) => {
    const endless = inChunks(`${frame}data: ${text}`, 1_000);
    const frames: string[] = [];
    const handler = { onActivity: () => undefined, onFrame: (text: string) => frames.push(text) };
    const reading = readFrames(streamOf(endless), handler, { maxFrameBytes: 10_000 });
    await expect(reading).rejects.toMatchObject({ name: 'ResponseTooLargeError', maxBytes: 10_000 });
    expect(frames).toEqual([data]);
  });

  it('counts every byte of the stream as a sign of life, also those that make no frame', async () => {
    let signs = 0;
    const handler = { onActivity: () => (signs += 1), onFrame: () => undefined };
    await readFrames(streamOf([': heartbeat\n\n', 'da', 'ta: 1']), handler);
    expect(signs).toBe(3);
  });

  it.each(['abort', 'failure'] as const)('closes the stream after an %s of the handler', async (end) => {
    const caller = new AbortController();
    const cancelled: unknown[] = [];
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode(frame + frame)),
      cancel: (reason) => void cancelled.push(reason),
    });
    const failure = new Error('a mistake');
    const handler = {
      onActivity: () => undefined,
      onFrame: () => {
        if (end === 'failure') throw failure;
        caller.abort('enough');
      },
    };
    const reading = readFrames(body, handler, { signal: caller.signal });
    if (end === 'failure') await expect(reading).rejects.toBe(failure);
    else await reading;
    expect(cancelled).toEqual([end === 'failure' ? undefined : 'enough']);
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  });
});

describe('an envelope', () => {
  it('decodes an envelope to an event', () => {
    expect(decodeEnvelope(data)).toEqual({ kind: 'event', event });
  });

  it.each([
    data,
    JSON.stringify({ ...envelope, directory: '/"payload":{' }),
    `${data.slice(0, -1)},"workspace":"w"}`,
    `${data.slice(0, -2)},"extra":"}"}}`,
    `${data} `,
    `${data.slice(0, -1)}]`,
    '{"directory":"/a","payload":{"type":"x"}}}',
    '{"directory":"/a","payload":{"type":"x","properties":{}}',
    '{"directory":"/a","payload":{"type":"x"},"directory":"/b"}',
  ])('decodes an envelope to the same event whether its head was read before or not: %s', (text) => {
    const whole = decodeEnvelope(text);
    expect(peekEnvelope(text)).toBeDefined();
    expect(decodeEnvelope(text, peekEnvelope(text))).toEqual(whole);
  });

  it('tells the envelope of a second delivery from an event', () => {
    const sync = { directory: '/a', payload: { type: 'sync', syncEvent: { id: 'evt_1' } } };
    expect(decodeEnvelope(JSON.stringify(sync))).toEqual({ kind: 'duplicate' });
  });

  it.each([
    '{oops',
    '',
    '7',
    'null',
    '[]',
    '{}',
    '{"payload":{}}',
    '{"payload":{"type":7}}',
    '{"payload":[]}',
  ])('takes an envelope of another shape for malformed: %s', (text) => {
    expect(decodeEnvelope(text).kind).toBe('malformed');
  });

  it('decodes an envelope of an unknown type, or of the whole server, to an event all the same', () => {
    const unknown = { payload: { id: 'evt_2', type: 'brand.new', properties: { a: 1 }, extra: true } };
    const global = { directory: 'global', payload: { type: 'global.disposed', properties: 7 } };
    expect(decodeEnvelope(JSON.stringify(unknown))).toEqual({
      kind: 'event',
      event: { directory: undefined, id: 'evt_2', type: 'brand.new', properties: { a: 1 } },
    });
    expect(decodeEnvelope(JSON.stringify(global))).toEqual({
      kind: 'event',
      event: { directory: undefined, id: '', type: 'global.disposed', properties: {} },
    });
  });

  it.each([
    '/srv/app',
    '/srv/a b%20ü日#?+\'"🦊',
    String.raw`C:\work\app`,
    '/ends with a backslash\\',
    '/"payload":{"type":"fake"}',
    '/line\nbreak',
    '',
  ])('reads the directory and type of an envelope without parsing it: %j', (directory) => {
    const full = JSON.stringify({ ...envelope, directory, workspace: 'w' });
    const bare = JSON.stringify({ directory, payload: { type: 'sync', syncEvent: {} } });
    expect(
      peekEnvelope(full.replace(/^(\{.*?),"payload":(.*),("workspace":"w")\}$/, '$1,$3,"payload":$2}')),
    ).toEqual({
      directory,
      type: 'session.idle',
    });
    expect(peekEnvelope(bare)).toEqual({ directory, type: 'sync' });
  });

  it('decodes an envelope with its directory at the end as a whole', () => {
    const turned = '{"payload":{"id":"evt_1","type":"session.idle","properties":{}},"directory":"/a"}';
    expect(peekEnvelope(turned)).toBeUndefined();
    expect(decodeEnvelope(turned)).toMatchObject({ event: { directory: '/a', type: 'session.idle' } });
  });

  it('reads no directory from an envelope of the whole server', () => {
    const heartbeat = '{"payload":{"id":"evt_1","type":"server.heartbeat","properties":{}}}';
    expect(peekEnvelope(heartbeat)).toBeUndefined();
    expect(decodeEnvelope(heartbeat)).toMatchObject({ event: { directory: undefined } });
    expect(
      peekEnvelope('{"directory":"global","payload":{"type":"global.disposed"}}')?.directory,
    ).toBeUndefined();
  });

  it('throws no error for an envelope whose directory has no end', () => {
    const head = `{"directory":"${String.raw`\\`.repeat(30_000_000)}`;
    expect(peekEnvelope(head)).toBeUndefined();
    expect(decodeEnvelope(head).kind).toBe('malformed');
  });

  it.each([
    ' {"payload":{"type":"x"}}',
    '{"payload":{"properties":{"type":"x"},"type":"y"}}',
    '{"new":{"payload":{"type":"x"}},"payload":{"type":"y"}}',
    '{"payload":"type"}',
    '{"payload":{"type":"a\\u0062"}}',
    '{oops',
    '',
  ])('reads no directory and type without parsing from an envelope written in another way: %s', (text) => {
    expect(peekEnvelope(text)).toBeUndefined();
  });
});
