import { describe, expect, it, vi } from 'vitest';
import {
  ConnectionError,
  readTurn,
  RemoteTurnError,
  RequestError,
  ResponseShapeError,
  ResponseTooLargeError,
  type TurnResult,
  type TurnStep,
} from 'jarvis-opencode';

const message: TurnStep = { type: 'message', messageID: 'msg_1' };
const result = { sessionID: 'ses_1', text: 'Hello', transcript: 'Hello' } as TurnResult;
const problem = { type: 'about:blank', title: 'Bad Gateway', status: 502, detail: 'No luck.' };

const framesOf = (events: readonly unknown[]): string =>
  events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');

function stream(...events: readonly unknown[]): Response {
  return new Response(framesOf(events));
}

/** A response whose connection stays open after the events. */
function openStream(...events: readonly unknown[]) {
  let connection!: ReadableStreamDefaultController<Uint8Array>;
  const onCancel = vi.fn();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      connection = controller;
      if (events.length > 0) controller.enqueue(new TextEncoder().encode(framesOf(events)));
    },
    cancel: onCancel,
  });
  return { response: new Response(body), onCancel, breakOff: () => connection.error(new Error('reset')) };
}

describe('readTurn()', () => {
  it('rejects with ConnectionError when the response ends before the turn, after its steps', async () => {
    const remote = readTurn(stream({ step: message }));
    await expect(remote.result).rejects.toBeInstanceOf(ConnectionError);
    const steps: unknown[] = [];
    const reading = (async () => {
      for await (const step of remote) steps.push(step);
    })();
    await expect(reading).rejects.toBeInstanceOf(ConnectionError);
    expect(steps).toEqual([message]);
  });

  it('rejects with RequestError for a status that is not 2xx, with the body', async () => {
    const body = { ...problem, title: 'Not Found', status: 404, detail: 'No such chat.' };
    const error = await readTurn(Response.json(body, { status: 404 })).result.catch(
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ status: 404, body });
  });

  it('rejects with ConnectionError when an event stream ends before its first event', async () => {
    const response = new Response('', { headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
    await expect(readTurn(response).result).rejects.toBeInstanceOf(ConnectionError);
  });

  it.each([
    ['an event that is no JSON', new Response('data: nonsense\n\n')],
    ['an event without a step', stream({ other: {} })],
    ['an event whose result is a list', stream({ result: [] })],
    ['a step beside an error that is null', stream({ step: null, error: {} })],
    ['a web page', new Response('<html></html>', { headers: { 'content-type': 'text/html' } })],
    ['JSON', Response.json({ text: 'Hello' })],
    ['an empty answer', new Response('')],
    ['an answer without a body', new Response(null)],
    ['an answer with status 204', new Response(null, { status: 204 })],
  ])('rejects with ResponseShapeError for %s', async (_what, response) => {
    await expect(readTurn(response).result).rejects.toBeInstanceOf(ResponseShapeError);
  });

  const text = { type: 'text', delta: 'Hello', messageID: 'msg_1', partID: 'prt_1' };
  const tool = {
    type: 'tool',
    sessionID: 'ses_1',
    tool: 'bash',
    callID: 'call_1',
    status: 'running',
    input: {},
  };
  const deep = `{"deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;

  it.each([
    ['null', 'null'],
    ['a list', '[]'],
    ['an object without a type', '{}'],
    ['a text without its delta', JSON.stringify({ ...text, delta: undefined })],
    ['a text whose delta is a number', JSON.stringify({ ...text, delta: 5 })],
    ['a text without its part', JSON.stringify({ ...text, partID: undefined })],
    ['a reasoning whose delta is null', JSON.stringify({ ...text, type: 'reasoning', delta: null })],
    ['a tool without its input', JSON.stringify({ ...tool, input: undefined })],
    ['a tool whose output is a number', JSON.stringify({ ...tool, output: 5 })],
    ['a permission request without the request', '{"type":"permission","directory":"/srv/app"}'],
    ['a tool whose input is nested too deep', JSON.stringify(tool).replace('{}', () => deep)],
  ])('rejects with ResponseShapeError for a step that is %s, and ends its text so', async (_what, step) => {
    const remote = readTurn(new Response(`data: {"step":${step}}\n\n${framesOf([{ result }])}`));
    const error = await remote.result.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ResponseShapeError);
    await expect(remote.text[Symbol.asyncIterator]().next()).rejects.toBe(error);
  });

  it('passes steps on whose type it does not know, whatever their fields are', async () => {
    const steps = [
      { type: 'news', delta: 5 },
      { type: 'news', delta: null },
      { type: 'news', callID: 'call_1', status: 'new' },
      { type: 'toString' },
    ];
    const remote = readTurn(stream(...steps.map((step) => ({ step })), { result }));
    const read: unknown[] = [];
    for await (const step of remote) read.push(step);
    expect(read).toEqual(steps);
    expect(await remote.result).toEqual(result);
  });

  it('has its answer when the response gives it, and cancels one that stays open', async () => {
    const { response, onCancel } = openStream({ step: message }, { result });
    const remote = readTurn(response);
    expect(await remote.result).toEqual(result);
    const steps: unknown[] = [];
    for await (const step of remote) steps.push(step);
    expect(steps).toEqual([message]);
    expect(onCancel).toHaveBeenCalledOnce();
  });

  it('has its error when the response gives it, and cancels one that stays open', async () => {
    const { response, onCancel } = openStream({ error: problem });
    const error = await readTurn(response).result.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RemoteTurnError);
    expect(error).toMatchObject({ problem });
    expect(onCancel).toHaveBeenCalledOnce();
  });

  it('keeps the answer of a response that breaks right after it', async () => {
    const { response, breakOff } = openStream({ result });
    const remote = readTurn(response);
    await Promise.resolve();
    breakOff();
    expect(await remote.result).toEqual(result);
  });

  it.each([
    ['another answer', { result: { ...result, text: 'Bye' } }],
    ['an error', { error: problem }],
    ['a step', { step: message }],
    ['an event that is no message of a turn', { other: {} }],
  ])('ignores %s after the answer', async (_what, later) => {
    const remote = readTurn(stream({ result }, later));
    expect(await remote.result).toEqual(result);
    for await (const step of remote) expect.unreachable(`a step of type ${step.type}`);
  });

  it('rejects with ResponseTooLargeError for an event beyond maxEventBytes', async () => {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(600).fill(0x78)),
    });
    await expect(readTurn(new Response(body), { maxEventBytes: 1_000 }).result).rejects.toBeInstanceOf(
      ResponseTooLargeError,
    );
  });

  it('rejects with the reason of the signal, and cancels the response', async () => {
    const reading = new AbortController();
    const { response, onCancel } = openStream();
    const remote = readTurn(response, { signal: reading.signal });
    const reason = new Error('enough');
    reading.abort(reason);
    await expect(remote.result).rejects.toBe(reason);
    expect(onCancel).toHaveBeenCalledOnce();
  });

  it('refuses what is no response', () => {
    expect(() => readTurn('nonsense' as never)).toThrow('Expected a Response, got string.');
    expect(() => readTurn(new Response(''), { sginal: 1 } as never)).toThrow("'signal'");
  });
});
