import { describe, expect, it, vi } from 'vitest';
import { logRetry, withAdvice } from '../../../../../src/client/turns/run/provider-trouble.js';
import type { ServerErrorInfo } from '../../../../../src/core/server-error.js';
import { silentLogger } from '../../../../../src/core/logger.js';

const none: ServerErrorInfo = {
  name: 'UnknownError',
  data: { message: 'ProviderNoProvidersError: No providers are available' },
};

/** A transport that answers with these providers, and counts how often it is asked. */
function transportOf(ids: readonly string[]): { send: () => Promise<never>; asked: () => number } {
  let asked = 0;
  const send = (): Promise<never> => {
    asked += 1;
    return Promise.resolve({ providers: ids.map((id) => ({ id })), default: {} } as never);
  };
  return { send, asked: () => asked };
}

/** The advice on a failure with this error. */
async function adviceOn(
  serverError: ServerErrorInfo,
  transport: Parameters<typeof withAdvice>[1],
): Promise<string | undefined> {
  const failure = await withAdvice({ serverError }, transport, new AbortController().signal);
  expect(failure.serverError).toBe(serverError);
  return failure.advice;
}

describe('withAdvice', () => {
  it('says how to configure a provider when there is none', async () => {
    const advice = await adviceOn(none, transportOf([]));
    expect(advice).toContain('No provider is configured: run `opencode auth login`');
  });

  it.each<ServerErrorInfo>([
    none,
    { name: 'ProviderAuthError', data: { providerID: 'a', message: 'no key' } },
    { name: 'APIError', data: { message: 'invalid key', statusCode: 401, isRetryable: false } },
    { name: 'UnknownError', data: { message: 'Model not found: a/b' } },
  ])('names the configured providers when one cannot be used: $name', async (error) => {
    const advice = await adviceOn(error, transportOf(['local', 'cloud']));
    expect(advice).toMatch(/^Configured providers: local, cloud\. Check the key/);
  });

  it.each<ServerErrorInfo>([
    { name: 'APIError', data: { message: 'overloaded', statusCode: 529, isRetryable: true } },
    { name: 'UnknownError', data: { message: 'something else' } },
    { name: 'ContentFilterError', data: { message: 'no' } },
    { name: 'UnknownError' } as ServerErrorInfo,
  ])('asks nothing about a failure of another kind: $name', async (error) => {
    const transport = transportOf(['local']);
    expect(await adviceOn(error, transport)).toBeUndefined();
    expect(transport.asked()).toBe(0);
  });

  it('names ten providers, with ids of bounded length, and how many more there are', async () => {
    const ids = Array.from({ length: 12 }, (_, index) => `${index}`.padEnd(1_000, 'x'));
    const advice = await adviceOn(none, transportOf(ids));
    expect(advice).toContain(' and 2 more. ');
    expect(advice?.length).toBeLessThan(800);
  });

  it('gives no advice when the server does not say which providers it has', async () => {
    const send = (): Promise<never> => Promise.reject(new Error('gone'));
    expect(await adviceOn(none, { send })).toBeUndefined();
  });
});

describe('logRetry', () => {
  it('logs why the provider is asked again, for the session of the turn alone', () => {
    const warn = vi.fn();
    const context = { sessionID: 'ses_1', logger: { ...silentLogger, warn } };
    const retry = (sessionID: string): Parameters<typeof logRetry>[0] => ({
      id: 'evt_1',
      directory: '/srv/app',
      type: 'session.status',
      properties: { sessionID, status: { type: 'retry', attempt: 2, message: 'overloaded', next: 1 } },
    });
    logRetry(retry('ses_2'), context);
    expect(warn).not.toHaveBeenCalled();
    logRetry(retry('ses_1'), context);
    const details = { sessionID: 'ses_1', attempt: 2, message: 'overloaded' };
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('asks it again'), details);
  });
});
