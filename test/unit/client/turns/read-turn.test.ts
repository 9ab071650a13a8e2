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

  it.each([
    ['an event that is no JSON', new Response('data: nonsense\n\n')],
    ['an event without a step', stream({ other: {} })],
    ['a step without a type', stream({ step: {} })],
    ['a step that is null', stream({ step: null })],
  ])('rejects with ResponseShapeError for %s', async (_what, response) => {
    await expect(readTurn(response).result).rejects.toBeInstanceOf(ResponseShapeError);
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
