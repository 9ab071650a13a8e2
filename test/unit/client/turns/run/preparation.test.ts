import { describe, expect, it, vi } from 'vitest';
import type { HubListener } from '../../../../../src/client/events/hub-listeners.js';
import { untilIdle } from '../../../../../src/client/turns/run/preparation.js';
import type { TurnContext } from '../../../../../src/client/turns/context.js';

describe('waiting for a session that another client keeps at work', () => {
  const never = new AbortController().signal;
  const listeners = new Set<HubListener>();

  /** A session that is idle when the answers say so, one after the other. */
  function session(...answers: boolean[]): { context: TurnContext; asked: () => number } {
    const left = [...answers];
    const hub = {
      listen: (_directory: string | undefined, listener: HubListener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const isIdle = (): Promise<boolean> => Promise.resolve(left.shift() ?? true);
    const context = { sessionID: 'ses_1', hub, transport: { directory: '/repo' }, isIdle };
    return { context: context as unknown as TurnContext, asked: () => answers.length - left.length };
  }

  it('ends at once when the session is idle', async () => {
    const { context, asked } = session(true, false);
    await untilIdle(context, never, () => expect.unreachable('it is not busy'));
    expect(asked()).toBe(1);
  });

  it('asks again once it listens: the end may have come between the answer and the first event', async () => {
    const onBusy = vi.fn();
    const { context, asked } = session(false, true, true);
    await untilIdle(context, never, onBusy);
    expect(asked()).toBe(3);
    expect(onBusy).toHaveBeenCalledTimes(1);
    expect(listeners.size).toBe(0);
  });

  it('ends when an event tells that the session is idle', async () => {
    const { context } = session(false, false, true);
    const waiting = untilIdle(context, never, () => undefined);
    await vi.waitFor(() => expect(listeners.size).toBe(1));
    const [listener] = listeners;
    const properties = { sessionID: 'ses_1' };
    listener?.event({ directory: '/repo', id: '', type: 'session.idle', properties }, 0);
    await waiting;
    expect(listeners.size).toBe(0);
  });

  it('ends when the session stays idle: after a failure OpenCode says so twice, and loses what comes between', async () => {
    const { context, asked } = session(false, true, true, true);
    let hasEnded = false;
    const waiting = untilIdle(context, never, () => undefined).then(() => (hasEnded = true));
    await vi.waitFor(() => expect(asked()).toBe(2));
    const [listener] = listeners;
    const properties = { sessionID: 'ses_1' };
    listener?.event({ directory: '/repo', id: '', type: 'session.idle', properties }, 0);
    await vi.waitFor(() => expect(asked()).toBe(3));
    expect(hasEnded).toBe(false);
    await waiting;
    expect(asked()).toBe(4);
  });

  it('waits on when another client was faster', async () => {
    const { context, asked } = session(false, true, false, true, true);
    await untilIdle(context, never, () => undefined);
    expect(asked()).toBe(5);
  });

  it('does not listen when the caller wants no busy session', async () => {
    const { context } = session(false);
    const refuse = (): never => {
      throw new Error('busy');
    };
    await expect(untilIdle(context, never, refuse)).rejects.toThrow('busy');
    expect(listeners.size).toBe(0);
  });
});
