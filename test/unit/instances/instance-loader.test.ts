import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionError, RequestError } from 'jarvis-opencode';
import type { Http } from '../../../src/client/http/http.js';
import { InstanceLoader, type InstanceLoaderInit } from '../../../src/instances/instance-loader.js';

vi.mock('../../../src/core/real-time.js', () => import('../../support/global-time.js'));

const never = new AbortController().signal;

function loader(
  send: (signal: AbortSignal) => Promise<unknown>,
  init: Partial<InstanceLoaderInit> = {},
): InstanceLoader {
  const http = {
    send: (_request: unknown, options: { readonly signal: AbortSignal }) => send(options.signal),
  } as unknown as Http;
  return new InstanceLoader({
    http,
    hub: { isLive: false, connect: () => Promise.resolve() },
    ownsServer: true,
    bootTimeoutMs: 1_000,
    closed: never,
    ...init,
  });
}

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
  });

const failure = (status: number, name: string): RequestError =>
  new RequestError({ method: 'GET', path: '/path', status, body: { name, data: {} } });

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('loading an instance', () => {
  it('resolves when the server answers the load of an instance', async () => {
    expect(await loader(() => Promise.resolve({})).load('/a', never)).toBe('loaded');
  });

  it.each([
    failure(400, 'ConfigInvalidError'),
    failure(400, 'ConfigJsonError'),
    failure(500, 'UnknownError'),
  ])('reports that the server cannot load the instance: $status $serverError', async (error) => {
    expect(await loader(() => Promise.reject(error)).load('/a', never)).toEqual({ error });
  });

  it('does not decide from a failed connection whether the instance can be loaded', async () => {
    const error = new ConnectionError({ method: 'GET', path: '/path' });
    expect(await loader(() => Promise.reject(error)).load('/a', never)).toBe('unknown');
  });

  it('rejects with TimeoutError when a load takes longer than bootTimeoutMs', async () => {
    const loading = loader(untilAborted).load('/a', never);
    loading.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1_000);
    await expect(loading).rejects.toMatchObject({ name: 'TimeoutError', phase: 'boot', timeoutMs: 1_000 });
  });

  it('ends the load without an error when nobody waits any more', async () => {
    const abandoned = new AbortController();
    const loading = loader(untilAborted).load('/a', abandoned.signal);
    abandoned.abort();
    expect(await loading).toBe('unknown');
  });

  it('waits a second at most for the event stream, and only on a server of ours', async () => {
    const sent: number[] = [];
    const begin = Date.now();
    const send = (): Promise<unknown> => {
      sent.push(Date.now() - begin);
      return Promise.resolve({});
    };
    const hub = { isLive: false, connect: () => new Promise<void>(() => undefined) };
    await loader(send, { hub, ownsServer: false }).load('/a', never);
    expect(sent).toEqual([0]);
    const loading = loader(send, { hub, bootTimeoutMs: false }).load('/a', never);
    await vi.advanceTimersByTimeAsync(999);
    expect(sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await loading).toBe('loaded');
  });
});
