// Loaded before time is faked.
import 'ky';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { sendWithRetries, wasRefused, type RetriedRequest } from '../../../../src/client/http/retry.js';
import { deferred } from '../../../support/wait.js';

const refused = new TypeError('fetch failed', {
  cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
});
const reset = new TypeError('fetch failed', {
  cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }),
});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  return () => vi.useRealTimers();
});

/** A request whose attempts end like this, one after the other. */
function requestOf(outcomes: readonly (number | Error)[], more: Partial<RetriedRequest> = {}) {
  let sent = 0;
  const answers: Response[] = [];
  const request: RetriedRequest = {
    url: 'http://127.0.0.1:4096/thing',
    method: 'GET',
    send: () => {
      const outcome = outcomes[sent++] ?? expect.fail('sent once too often');
      if (outcome instanceof Error) return Promise.reject(outcome);
      const answer = new Response('{}', { status: outcome });
      answers.push(answer);
      return Promise.resolve(answer);
    },
    retries: 2,
    signal: new AbortController().signal,
    lost: new AbortController().signal,
    passesAnyStatus: false,
    ...more,
  };
  return { request, answers, sent: () => sent };
}

/** Sends it, and lets the pauses between attempts pass. */
async function send(request: RetriedRequest): Promise<Response> {
  const answer = sendWithRetries(request);
  answer.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(10_000);
  return answer;
}

describe('sendWithRetries()', () => {
  it.each<readonly [string, string, readonly (number | Error)[]]>([
    ['a GET that succeeds at once', 'GET', [200]],
    ['a POST that succeeds at once', 'POST', [201]],
    ['a GET after a status that passes', 'GET', [503, 502, 200]],
    ['a GET after a lost connection', 'GET', [reset, 200]],
    ['a POST that nobody took', 'POST', [refused, 200]],
  ])('returns the answer to %s', async (_what, method, outcomes) => {
    const { request, answers, sent } = requestOf(outcomes, { method });
    expect(await send(request)).toBe(answers.at(-1));
    expect(sent()).toBe(outcomes.length);
  });

  it.each<readonly [string, string, readonly (number | Error)[]]>([
    ['a POST after a lost connection', 'POST', [reset]],
    ['a GET that was refused for good', 'GET', [404]],
    ['a POST after a status that passes', 'POST', [503]],
    ['a GET more often than it may', 'GET', [503, 503, 503]],
  ])('does not repeat %s', async (_what, method, outcomes) => {
    const { request, sent } = requestOf(outcomes, { method });
    const error: unknown = await send(request).catch((reason: unknown) => reason);
    if (outcomes[0] instanceof Error) expect(error).toBe(outcomes[0]);
    else expect(error).toMatchObject({ name: 'HTTPError', response: { status: outcomes.at(-1) } });
    expect(sent()).toBe(outcomes.length);
  });

  it('returns an answer of any status on request', async () => {
    const { request, answers } = requestOf([404], { passesAnyStatus: true });
    expect(await send(request)).toBe(answers[0]);
  });

  it('lets go of an answer before it repeats the request', async () => {
    const { request, answers } = requestOf([503, 200]);
    await send(request);
    expect(answers[0]?.body?.locked === true || answers[0]?.bodyUsed).toBe(true);
    expect(answers[1]?.bodyUsed).toBe(false);
  });

  it('repeats nothing once the server has ended', async () => {
    const lost = new AbortController();
    const { request, sent } = requestOf([reset], { lost: lost.signal });
    lost.abort(new Error('ended'));
    await expect(send(request)).rejects.toBe(reset);
    expect(sent()).toBe(1);
  });

  it('repeats nothing once the caller has stopped waiting', async () => {
    const caller = new AbortController();
    const { request, sent } = requestOf([503], { signal: caller.signal });
    caller.abort('enough');
    await expect(send(request)).rejects.toBeDefined();
    expect(sent()).toBe(1);
  });
});

describe('sendWithRetries() while ky is not loaded', () => {
  beforeEach(() => {
    vi.resetModules();
    vi.useRealTimers();
    return () => vi.doUnmock('ky');
  });

  /** The function of a copy of the module that gets ky when `load` gives it. */
  async function fresh(load: () => Promise<object>): Promise<typeof sendWithRetries> {
    vi.doMock('ky', load);
    const copy = await import('../../../../src/client/http/retry.js');
    return copy.sendWithRetries;
  }

  it('answers what needs no repetition', async () => {
    const copy = await fresh(() => new Promise(() => undefined));
    const { request, answers } = requestOf([200]);
    expect(await copy(request)).toBe(answers[0]);
    await expect(copy(requestOf([404]).request)).rejects.toMatchObject({ response: { status: 404 } });
  });

  it('loads it once for 200 requests at the same time, and repeats each of them', async () => {
    const load = vi.fn(() => vi.importActual<object>('ky'));
    const copy = await fresh(load);
    const requests = Array.from({ length: 200 }, () => requestOf([reset, 200]));
    const answers = await Promise.all(requests.map(({ request }) => copy(request)));
    expect(answers.map(({ status }) => status)).toEqual(Array(200).fill(200));
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('repeats nothing for a caller who stops waiting meanwhile', async () => {
    const { promise, resolve } = deferred<object>();
    const copy = await fresh(() => promise);
    const caller = new AbortController();
    const { request, sent } = requestOf([reset], { signal: caller.signal });
    const answer = copy(request);
    caller.abort('enough');
    resolve(await vi.importActual<object>('ky'));
    await expect(answer).rejects.toBeDefined();
    expect(sent()).toBe(1);
  });

  it('gives the first outcome where it cannot be loaded', async () => {
    const copy = await fresh(() => Promise.reject(new TypeError('Failed to fetch the module')));
    await expect(copy(requestOf([reset]).request)).rejects.toBe(reset);
    await expect(copy(requestOf([503]).request)).rejects.toMatchObject({ response: { status: 503 } });
  });
});

describe('wasRefused()', () => {
  it.each([
    [refused, true],
    [reset, false],
    [new TypeError('Failed to fetch'), false],
    ['a string', false],
  ])('reports whether nobody listened: %s', (error, isRefusal) => {
    expect(wasRefused(error)).toBe(isRefusal);
  });
});
