import {
  afterTools,
  aUserMessage,
  empty,
  fail,
  hang,
  retry,
  subtask,
  text,
  tool,
  type MockSteps,
} from 'jarvis-opencode/testing';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/core/clock.js';
import type { UserMessage } from '../../../../src/client/schema/message.js';
import { StepPlayer } from '../../../../src/testing/model/step-player.js';
import { TurnCalls } from '../../../../src/testing/model/turn-calls.js';
import { Asks } from '../../../../src/testing/state/asks.js';
import { Catalog } from '../../../../src/testing/state/catalog.js';
import { EventBus } from '../../../../src/testing/state/event-bus.js';
import { Ids } from '../../../../src/testing/state/ids.js';
import { SessionStore } from '../../../../src/testing/state/session-store.js';

/** Plays steps for one prompt of a session; `parts()` are the parts of each answer, as `type:text` or `type:tool:status`. */
function play(steps: MockSteps, prompt: Partial<UserMessage> = {}) {
  const scope = { directory: '/repo', projectID: 'project' };
  const ids = new Ids();
  const events = new EventBus(ids, systemClock);
  const store = new SessionStore(ids, events, systemClock, '1.18.33');
  const { id: sessionID } = store.create(scope, {});
  const message = aUserMessage({ ...prompt, sessionID });
  const catalog = new Catalog([], []);
  const init = { scope, ids, events, store, clock: systemClock, sessionID, catalog };
  const calls = new TurnCalls(init);
  const aborted = new AbortController();
  const startSubtask = () => ({
    sessionID: 'ses_child',
    answer: Promise.resolve('done'),
    abort: async () => {},
  });
  const player = new StepPlayer(
    { ...init, asks: new Asks(scope, events, ids), rules: [], startSubtask },
    calls,
    message,
    aborted.signal,
  );
  const played = player.play(steps, calls.begin(message));
  played.catch(() => undefined);
  return {
    played,
    abort: () => aborted.abort(),
    status: () => calls.status,
    parts: async () => {
      const last = await played;
      if (last !== undefined) await calls.finish(last, aborted.signal);
      return store
        .messages(sessionID)
        .map(({ parts }) =>
          parts.flatMap((part) =>
            part.type === 'text'
              ? [`text:${part.text}`]
              : part.type === 'tool'
                ? [`${part.tool}:${part.state.status}`]
                : [],
          ),
        );
    },
  };
}

describe('StepPlayer', () => {
  it('joins consecutive texts and begins another call with the text after a tool', async () => {
    const { parts } = play([text('One '), text('two.'), tool('bash'), tool('grep'), text('Three.')]);
    expect(await parts()).toEqual([['text:One two.', 'bash:completed', 'grep:completed'], ['text:Three.']]);
  });

  it('gives afterTools() the results of the tools before it', async () => {
    const { parts } = play([
      tool('bash', { command: 'ls' }, 'a.ts'),
      afterTools((results) => [text(results.map(({ output }) => output).join())]),
    ]);
    expect((await parts()).at(-1)).toEqual(['text:a.ts']);
  });

  it('calls the model again after an empty answer', async () => {
    expect(await play([empty(), text('ok')]).parts()).toEqual([[], ['text:ok']]);
  });

  it('ends the turn when the model gives the object that the prompt asks for', async () => {
    const format = { type: 'json_schema' as const, schema: {}, retryCount: 2 };
    const { played } = play([tool('StructuredOutput', { a: 1 }), text('never')], { format });
    expect(await played).toBeUndefined();
  });

  it('fails a subtask whose agent does not exist', async () => {
    const { parts } = play([subtask('Search', { agent: 'nobody' })]);
    expect(await parts()).toEqual([['task:error'], []]);
  });

  it('counts the refusals of one call, and fails at the sixth', async () => {
    await expect(play(Array.from({ length: 6 }, () => retry('busy'))).played).rejects.toMatchObject({
      info: { name: 'APIError', data: { message: 'busy', statusCode: 503, isRetryable: true } },
    });
    const refusals = Array.from({ length: 5 }, () => retry('busy'));
    expect(
      await play([...refusals, tool('bash'), text('a'), tool('bash'), ...refusals]).parts(),
    ).toHaveLength(3);
  });

  it.each<[string, MockSteps, RegExp]>([
    ['retry() after a text', [text('a'), retry()], /retry\(\) must come before/],
    ['empty() after a text', [text('a'), empty()], /empty\(\) must come before/],
    ['a value that is not a step', [{ type: 'sing' }] as never, /yielded no step/],
    ['fail()', [fail('ProviderAuthError')], /ProviderAuthError/],
  ])('rejects for %s', async (_what, steps, message) => {
    await expect(play(steps).played).rejects.toThrow(message);
  });

  it('ends with the reason of the signal while a step never ends', async () => {
    const { played, abort } = play([hang()]);
    abort();
    await expect(played).rejects.toMatchObject({ name: 'AbortError' });
  });
});
