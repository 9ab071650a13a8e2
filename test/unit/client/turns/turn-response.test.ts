import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { readTurn, RemoteTurnError, TurnError, type TurnResult, type TurnStep } from 'jarvis-opencode';
import { realTime } from '../../../../src/core/real-time.js';
import { Turn } from '../../../../src/client/turns/turn.js';

const message: TurnStep = { type: 'message', messageID: 'msg_1' };
const text = (delta: string, messageID = 'msg_1'): TurnStep => ({
  type: 'text',
  delta,
  messageID,
  partID: `prt_${messageID}`,
});
const result = { sessionID: 'ses_1', text: 'Hello', transcript: 'Hello' } as TurnResult;
const failure = new TurnError({ reason: 'provider', sessionID: 'ses_1', messageID: 'msg_1' });

function setUp() {
  const onAbort = vi.fn(() => Promise.resolve());
  const turn = new Turn({
    sessionID: 'ses_1',
    messageID: 'msg_1',
    collectSteps: true,
    onAbort,
    onSettle: () => undefined,
  });
  return { turn, onAbort };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('turn.text', () => {
  it('yields the text with a blank line between messages, and nothing else', async () => {
    const { turn } = setUp();
    for (const step of [message, text('One '), text('two.'), text('Three.', 'msg_2')]) turn.push(step);
    turn.settle({ result });
    expect(await collect(turn.text)).toEqual(['One two.', '\n\nThree.']);
    expect(await collect(turn.text)).toEqual(['One two.', '\n\nThree.']);
  });

  it('throws what result rejects with', async () => {
    const { turn } = setUp();
    turn.push(text('One'));
    turn.settle({ error: failure });
    await expect(collect(turn.text)).rejects.toBe(failure);
  });
});

describe('turn.toResponse()', () => {
  it('is an event stream that no proxy keeps back, with the headers of the caller', async () => {
    const { turn } = setUp();
    turn.settle({ result });
    const response = turn.toResponse({ headers: { 'access-control-allow-origin': '*' } });
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toEqual({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': '*',
    });
    expect(await response.text()).toBe(`data: ${JSON.stringify({ result })}\n\n`);
  });

  it.each([
    ['an object', { 'Cache-Control': 'no-store', 'X-Nothing': undefined }],
    ['Headers', new Headers({ 'Cache-Control': 'no-store' })],
  ])(
    'replaces its own headers by those of the caller however they are spelled, given as %s',
    (_what, headers) => {
      const { turn } = setUp();
      turn.settle({ result });
      expect(Object.fromEntries(turn.toResponse({ headers }).headers)).toEqual({
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
    },
  );

  it('keeps every cookie of the headers of the caller', () => {
    const { turn } = setUp();
    turn.settle({ result });
    const headers = new Headers();
    for (const cookie of ['a=1', 'b=2']) headers.append('set-cookie', cookie);
    expect(turn.toResponse({ headers }).headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  });

  it('gives readTurn() the same steps and the same result, twice', async () => {
    const { turn } = setUp();
    const steps = [message, text('Hel'), { type: 'retry', attempt: 1, message: 'slow', next: 5 }] as const;
    for (const step of steps) turn.push(step);
    turn.settle({ result });
    for (let client = 0; client < 2; client += 1) {
      const remote = readTurn(turn.toResponse());
      expect(await collect(remote)).toEqual(steps);
      expect(await collect(remote.text)).toEqual(['Hel']);
      expect(await remote.result).toEqual(result);
    }
  });

  it('ends with the problem of the error, which readTurn() throws to readers and result', async () => {
    const { turn } = setUp();
    turn.push(message);
    turn.settle({ error: failure });
    const remote = readTurn(turn.toResponse());
    const error = await remote.result.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RemoteTurnError);
    expect((error as RemoteTurnError).problem).toEqual({
      type: 'about:blank',
      title: 'Bad Gateway',
      status: 502,
      detail: failure.message,
      code: 'TURN_FAILED',
      reason: 'provider',
      isRetryable: false,
    });
    await expect(collect(remote)).rejects.toBe(error);
  });

  it('sends a comment when there is no step for heartbeatMs', async () => {
    const { turn } = setUp();
    const body = turn.toResponse({ heartbeatMs: 5 }).body?.pipeThrough(new TextDecoderStream());
    const reader = body?.getReader();
    expect((await reader?.read())?.value).toBe(': \n\n');
    expect((await reader?.read())?.value).toBe(': \n\n');
    turn.push(message);
    let frame: string | undefined;
    do frame = (await reader?.read())?.value;
    while (frame === ': \n\n');
    expect(frame).toBe(`data: ${JSON.stringify({ step: message })}\n\n`);
    await reader?.cancel();
  });

  it('waits as long as a timer can for a heartbeatMs that no timer can measure', async () => {
    const { turn } = setUp();
    const setTimer = vi.spyOn(realTime, 'setTimeout');
    onTestFinished(() => setTimer.mockRestore());
    const reader = turn.toResponse({ heartbeatMs: 3_000_000_000 }).body?.getReader();
    const waiting = reader?.read();
    await vi.waitFor(() => expect(setTimer).toHaveBeenCalled());
    expect(setTimer.mock.calls.map(([, ms]) => ms)).toEqual([2_147_483_647]);
    await reader?.cancel();
    await waiting;
  });

  it('lets the turn go on when the client goes away, and stops reading', async () => {
    const { turn, onAbort } = setUp();
    turn.push(message);
    const reader = turn.toResponse().body?.getReader();
    await reader?.read();
    const waiting = reader?.read();
    await reader?.cancel();
    await waiting;
    await vi.waitFor(() => expect(turn.hasReader).toBe(false));
    expect(onAbort).not.toHaveBeenCalled();
    turn.settle({ result });
    expect(await turn.result).toBe(result);
  });

  it('aborts the turn when the client goes away and abortOnCancel is set', async () => {
    const { turn, onAbort } = setUp();
    const reader = turn.toResponse({ abortOnCancel: true }).body?.getReader();
    await reader?.cancel();
    expect(onAbort).toHaveBeenCalledOnce();
    turn.settle({ error: failure, quiet: true });
  });

  it('reads no more steps than the client takes', async () => {
    const { turn } = setUp();
    const reader = turn.toResponse().body?.pipeThrough(new TextDecoderStream()).getReader();
    turn.push(text('a'));
    const first = await reader?.read();
    for (let index = 0; index < 1_000; index += 1) turn.push(text('b'));
    turn.settle({ result });
    const frames = [first?.value];
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
      frames.push(next.value);
    }
    expect(frames.length).toBeLessThan(10);
    expect(frames.join('').match(/b/g)).toHaveLength(1_000);
  });

  it.each([{ heartbeatMs: 0 }, { headers: 7 }, { abortOnCancel: 'yes' }, { heartbeat: 5 }])(
    'refuses the options %o',
    (options) => {
      expect(() => setUp().turn.toResponse(options as never)).toThrow(/heartbeatMs|headers|abortOnCancel/);
    },
  );
});
