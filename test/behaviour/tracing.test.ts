import { AsyncLocalStorage } from 'node:async_hooks';
import { tracingChannel, type TracingChannelSubscribers } from 'node:diagnostics_channel';
import { SpanStatusCode } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DisposeRefusedError, TurnError, type JarvisOpenCode, type RepoClient } from 'jarvis-opencode';
import { traceJarvis } from '../../examples/opentelemetry.js';
import { fail, mockOpenCode, text, usage } from 'jarvis-opencode/testing';

const mock = mockOpenCode({ password: 'hunter2' });
const network = setupServer(...mock.handlers);
let jarvis: JarvisOpenCode;
let repo: RepoClient;
let undo: (() => void)[] = [];

beforeAll(async () => {
  network.listen({ onUnhandledRequest: 'error' });
  jarvis = await mock.client({ idle: false });
  repo = jarvis.forRepo('/repos/app');
});
beforeEach(() => mock.script(() => [text('ok'), usage({ input: 7, output: 3 })]));
afterEach(() => {
  for (const each of undo) each();
  undo = [];
});
afterAll(async () => {
  await mock.close();
  network.close();
});

type Payload = Record<string, unknown>;
interface Seen {
  readonly event: string;
  readonly payload: Payload;
}

function listen(name: string): Seen[] {
  const seen: Seen[] = [];
  const channel = tracingChannel<unknown, Payload>(`jarvis-opencode:${name}`);
  const note =
    (event: string) =>
    (payload: Payload): void =>
      void seen.push({ event, payload: { ...payload } });
  const subscribers = Object.fromEntries(
    ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((event) => [event, note(event)]),
  ) as unknown as TracingChannelSubscribers<Payload>;
  channel.subscribe(subscribers);
  undo.push(() => channel.unsubscribe(subscribers));
  return seen;
}

/** Gives each trace of the channels the one that it belongs to. */
function nest(...names: string[]): { name: string; payload: Payload; parent: Payload | undefined }[] {
  const storage = new AsyncLocalStorage<Payload>();
  const spans: { name: string; payload: Payload; parent: Payload | undefined }[] = [];
  for (const name of names) {
    const { start } = tracingChannel<Payload, Payload>(`jarvis-opencode:${name}`);
    const ignore = (): void => undefined;
    start.bindStore(storage, (payload) => {
      spans.push({ name, payload, parent: storage.getStore() });
      return payload;
    });
    start.subscribe(ignore);
    undo.push(() => {
      start.unbindStore(storage);
      start.unsubscribe(ignore);
    });
  }
  return spans;
}

describe('tracing channels', () => {
  it('publishes the begin and the end of a call, and nothing of its answer', async () => {
    const seen = listen('call');
    await repo.config.providers();
    const call = { method: 'GET', path: '/config/providers', directory: '/repos/app' };
    const own = seen.filter(({ payload }) => payload['path'] === call.path);
    expect(own.map(({ event }) => event)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    for (const { payload } of own) expect(payload).toMatchObject(call);
    expect(own.at(-1)?.payload['result']).toBeUndefined();
    expect(JSON.stringify(seen)).not.toContain('hunter2');
  });

  it('publishes the error of a call', async () => {
    const seen = listen('call');
    const error = await repo.sessions.get('ses_none').catch((reason: unknown) => reason);
    expect(seen.find(({ event }) => event === 'error')?.payload['error']).toBe(error);
  });

  it('publishes the calls of the pinned fetch, without their query', async () => {
    const seen = listen('call');
    await repo.fetch(`${repo.baseUrl}/session?limit=1`);
    expect(seen.map(({ payload }) => payload['path'])).toContain('/session');
  });

  it('publishes a turn with what it used', async () => {
    const session = await repo.sessions.create();
    const seen = listen('turn');
    const turn = session.stream('Hello');
    const { cost } = await turn.result;
    await new Promise(setImmediate);
    expect(seen.map(({ event }) => event)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    const { messageID } = turn;
    const own = { kind: 'prompt', sessionID: session.id, messageID, directory: '/repos/app' };
    expect(seen[0]?.payload).toEqual(own);
    expect(seen.at(-1)?.payload).toMatchObject({ ...own, result: { cost, tokens: { input: 7, output: 3 } } });
  });

  it('publishes the error of a turn, which rejects as it does while nobody listens', async () => {
    const session = await repo.sessions.create();
    mock.script(() => [fail('APIError', 'no credit')]);
    const seen = listen('turn');
    const error = await session.prompt('Hello').catch((reason: unknown) => reason);
    await new Promise(setImmediate);
    expect(error).toBeInstanceOf(TurnError);
    expect(seen.find(({ event }) => event === 'error')?.payload['error']).toBe(error);
  });

  it('runs the calls of a turn in the context of that turn, also behind another one', async () => {
    const session = await repo.sessions.create();
    const limited = (await mock.client({ idle: false, turns: { concurrency: 1 } })).forRepo(repo.directory);
    const spans = nest('turn', 'call');
    const turns = ['One', 'Two'].map((prompt) => session.stream(prompt));
    const others = ['Three', 'Four'].map(async (prompt) => {
      const turn = (await limited.sessions.create()).stream(prompt);
      await turn.result;
      return turn;
    });
    await Promise.all(turns.map(({ result }) => result));
    for (const { messageID } of [...turns, ...(await Promise.all(others))]) {
      const own = spans.find(({ name, payload }) => name === 'turn' && payload['messageID'] === messageID);
      expect(own?.parent).toBeUndefined();
      const calls = spans.filter(({ name, parent }) => name === 'call' && parent === own?.payload);
      expect(calls.map(({ payload }) => payload['path'])).toContainEqual(
        expect.stringMatching(/\/prompt_async$/),
      );
      // Each turn sends one prompt: none runs in the context of another.
      expect(calls.filter(({ payload }) => String(payload['path']).endsWith('/prompt_async'))).toHaveLength(
        1,
      );
    }
  });

  it('publishes a disposal, and one that is refused', async () => {
    await repo.warm();
    const seen = listen('disposal');
    {
      using _lease = repo.hold('a tab');
      await expect(repo.dispose()).rejects.toBeInstanceOf(DisposeRefusedError);
    }
    await repo.dispose({ force: true });
    expect(seen.find(({ event }) => event === 'asyncEnd')?.payload).toMatchObject({
      directories: ['/repos/app'],
      reason: 'forced',
      result: { disposed: true },
    });
  });
});

describe('the example with OpenTelemetry', () => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  beforeEach(() => {
    exporter.reset();
    undo.push(traceJarvis(provider.getTracer('test')));
  });
  afterAll(() => provider.shutdown());

  it('makes a span of a turn with its usage, and spans of its calls below it', async () => {
    const session = await repo.sessions.create();
    const { messageID, result } = session.stream('Hello');
    await result;
    await new Promise(setImmediate);
    const spans = exporter.getFinishedSpans();
    const turn = spans.find(({ name }) => name === 'turn prompt');
    expect(turn?.parentSpanContext).toBeUndefined();
    expect(turn?.attributes).toMatchObject({
      'gen_ai.conversation.id': session.id,
      'gen_ai.usage.input_tokens': 7,
      'gen_ai.usage.output_tokens': 3,
      'jarvis.message': messageID,
    });
    const below = spans.filter(
      ({ parentSpanContext }) => parentSpanContext?.spanId === turn?.spanContext().spanId,
    );
    expect(below.map(({ name }) => name)).toContain('POST /session/{id}/prompt_async');
    const creation = spans.find(({ name }) => name === 'POST /session');
    expect(creation?.parentSpanContext).toBeUndefined();
    expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBeGreaterThan(1);
  });

  it('marks the span of a call that failed, and ends none twice', async () => {
    await expect(repo.sessions.get('ses_none')).rejects.toThrow();
    const failed = exporter.getFinishedSpans().filter(({ status }) => status.code === SpanStatusCode.ERROR);
    expect(failed.map(({ name, events }) => [name, events[0]?.name])).toEqual([
      ['GET /session/{id}', 'exception'],
    ]);
  });
});
