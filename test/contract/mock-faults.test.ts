import { setupServer } from 'msw/node';
import type { JarvisOpenCode, OpenCodeEvent, Part } from 'jarvis-opencode';
import {
  ask,
  hang,
  mockOpenCode,
  text,
  tool,
  waitFor,
  type MockEvent,
  type MockOpenCode,
  type MockOpenCodeOptions,
  type MockStep,
} from 'jarvis-opencode/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { fakeClock } from '../support/fake-clock.js';
import { gate } from './helpers.js';

// Faults that only the mock has.

const server = setupServer();
const open: MockOpenCode[] = [];

beforeAll(() => server.listen({ onUnhandledRequest: 'error' }));
afterAll(() => server.close());
afterEach(async () => {
  for (const mock of open.splice(0)) await mock.close();
  server.resetHandlers();
});

async function aMock(options?: MockOpenCodeOptions): Promise<[MockOpenCode, JarvisOpenCode]> {
  const mock = mockOpenCode(options);
  open.push(mock);
  server.use(...mock.handlers);
  return [mock, await mock.client({ idle: false })];
}

/** The types of the events, up to and with the last one. */
async function typesUntil(events: AsyncIterable<OpenCodeEvent>, last: string): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of events) {
    types.push(type);
    if (type === last) break;
  }
  return types;
}

/** Finds the events of such parts. */
function partOf(matches: (part: Part) => boolean): (event: MockEvent) => boolean {
  return ({ type, properties }) =>
    type === 'message.part.updated' && matches((properties as { readonly part: Part }).part);
}

describe('the event stream', () => {
  const answer = [text('Read it.'), tool('todowrite', { todos: [] }), text('Done.')];
  it.each<[fault: string, steps: MockStep[], lost: (event: MockEvent) => boolean]>([
    ['has lost the end of a step', answer, partOf(({ type }) => type === 'step-finish')],
    [
      'has lost the result of a tool',
      answer,
      partOf((part) => part.type === 'tool' && part.state.status === 'completed'),
    ],
    [
      'has lost the text after its pieces',
      answer,
      partOf((part) => part.type === 'text' && part.text !== ''),
    ],
    ['has lost the text', answer, partOf(({ type }) => type === 'text')],
    ['has lost the parts of the prompt', answer, partOf((part) => 'text' in part && part.text === 'Go')],
    ['brings more than is kept of a turn', [text('x'.repeat(2 ** 21))], () => false],
  ])('reads an answer from the server when the stream %s', async (_fault, steps, lost) => {
    const [mock, jarvis] = await aMock();
    const session = await jarvis.forRepo('/repo').sessions.create();
    await session.prompt('Warm up');
    mock.script(() => steps);
    using _lost = mock.stream.drop(lost);
    const read = vi.spyOn(globalThis, 'fetch');
    const result = await session.prompt('Go');
    expect(read.mock.calls.map(([url]) => String(url instanceof Request ? url.url : url))).toContainEqual(
      expect.stringContaining(`/session/${session.id}/message?`),
    );
    expect(result.messages).toEqual((await session.messages()).slice(3));
    expect(result.messages).toHaveLength(steps === answer ? 2 : 1);
  });

  it('reads an answer from the server when the stream was down for a moment of the turn', async () => {
    const [mock, jarvis] = await aMock();
    const session = await jarvis.forRepo('/repo').sessions.create();
    await session.prompt('Warm up');
    const resumed = gate();
    mock.script(() => [text('One. '), waitFor(resumed.promise), text('Two.')]);
    const turn = session.stream('Go');
    for await (const step of turn) {
      if (step.type !== 'text' || step.delta !== 'One. ') continue;
      await using events = session.events({ types: ['jarvis.gap'] });
      await events.ready;
      mock.stream.cut();
      await typesUntil(events, 'jarvis.gap');
      resumed.open();
    }
    expect((await turn.result).messages).toEqual((await session.messages()).slice(3));
    expect((await turn.result).text).toBe('One. Two.');
  });

  it('ends a turn although the mock loses its last events', async () => {
    const [mock, jarvis] = await aMock();
    const repo = jarvis.forRepo('/repo');
    const session = await repo.sessions.create();
    await session.prompt('Warm up');
    {
      using _lost = mock.stream.drop(({ type }) => type === 'session.idle' || type === 'session.status');
      expect((await session.prompt('Hello')).text).toBe('ok');
    }
    await using events = session.events({ types: ['session.idle'] });
    await events.ready;
    await session.prompt('Again');
    expect(await typesUntil(events, 'session.idle')).toEqual(['session.idle']);
  }, 20_000);

  it('sends held events in order when the hold is disposed', async () => {
    const [mock, jarvis] = await aMock();
    const repo = jarvis.forRepo('/repo');
    await using events = repo.events({ types: ['session.created', 'session.deleted'] });
    await events.ready;
    const held = mock.stream.hold();
    const seen = typesUntil(events, 'session.deleted');
    const session = await repo.sessions.create();
    await session.delete();
    expect(await Promise.race([seen, Promise.resolve('nothing yet')])).toBe('nothing yet');
    held[Symbol.dispose]();
    expect(await seen).toEqual(['session.created', 'session.deleted']);
  });

  it('delays events by the clock of the mock', async () => {
    const clock = fakeClock();
    const [mock, jarvis] = await aMock({ clock });
    const repo = jarvis.forRepo('/repo');
    await using events = repo.events({ types: ['session.created'] });
    await events.ready;
    using _late = mock.stream.delay(1_000);
    const seen = vi.fn();
    const reading = typesUntil(events, 'session.created').then(seen);
    const session = await repo.sessions.create();
    expect(session.info?.time.created).toBe(clock.now());
    clock.advance(999);
    await session.refresh();
    expect(seen).not.toHaveBeenCalled();
    clock.advance(1);
    await reading;
    expect(seen).toHaveBeenCalledOnce();
    expect(() => mock.stream.delay(-1)).toThrow(RangeError);
  });

  it('reports a gap to subscribers when the event stream is cut', async () => {
    const [mock, jarvis] = await aMock();
    await using events = jarvis.forRepo('/repo').events({ types: ['session.created'] });
    await events.ready;
    mock.stream.cut();
    const types: string[] = [];
    for await (const { type } of events) {
      types.push(type);
      if (type === 'session.created') break;
      await jarvis.forRepo('/repo').sessions.create();
    }
    expect(types).toEqual(['jarvis.gap', 'session.created']);
  });
});

describe('a request', () => {
  const operation = 'PATCH /session/{sessionID}';

  it('fails as many requests as asked for, with the given body', async () => {
    const [mock, jarvis] = await aMock();
    const session = await jarvis.forRepo('/repo').sessions.create();
    const body = { name: 'UnknownError', data: { message: 'full' } };
    mock.failRequest(operation, { nth: 2, times: 2, status: 507, body });
    const rename = (): Promise<unknown> =>
      session.update({ title: 'x' }).catch((error: unknown) => (error as { body: unknown }).body);
    const outcomes = [await rename(), await rename(), await rename(), await rename()];
    expect(outcomes).toMatchObject([{ title: 'x' }, body, body, { title: 'x' }]);
  });

  it('breaks the connection when a request fails without a status', async () => {
    const [mock, jarvis] = await aMock();
    const session = await jarvis.forRepo('/repo').sessions.create();
    {
      using _broken = mock.failRequest(operation, { times: Number.POSITIVE_INFINITY });
      const failed = { name: 'ConnectionError' };
      await expect(session.update({ title: 'x' })).rejects.toMatchObject(failed);
      await expect(session.update({ title: 'x' })).rejects.toMatchObject(failed);
    }
    expect(await session.update({ title: 'x' })).toMatchObject({ title: 'x' });
  });

  it('refuses an invalid failure of a request', async () => {
    const [mock] = await aMock();
    expect(() => mock.failRequest(operation, { nth: 0 })).toThrow(RangeError);
    expect(() => mock.failRequest(operation, { times: 0 })).toThrow(RangeError);
    expect(() => mock.failRequest(operation, { status: 99 })).toThrow(RangeError);
    expect(() => mock.failRequest('session' as 'GET /session')).toThrow(TypeError);
  });
});

describe('an instance', () => {
  it('keeps calls waiting while a disposal is slow', async () => {
    const clock = fakeClock();
    const [mock, jarvis] = await aMock({ clock });
    const repo = jarvis.forRepo('/repo');
    await repo.warm();
    mock.slowDisposal(2_000);
    const disposing = repo.dispose();
    await vi.waitFor(() => expect(clock.timers).toBe(1));
    const reading = repo.path();
    clock.advance(1_999);
    expect(mock.instances()).toMatchObject([{ loaded: true }]);
    clock.advance(1);
    expect(await disposing).toMatchObject({ disposed: true });
    expect((await reading).directory).toBe('/repo');
    expect(mock.instances()).toEqual([{ directory: '/repo', loaded: true, boots: 2, disposals: 1 }]);
    expect(() => mock.slowDisposal(-1)).toThrow(RangeError);
  });

  it('disposes an instance as another client does, with its turns and requests', async () => {
    const [mock, jarvis] = await aMock();
    mock.script(() => [ask('bash', { command: 'ls' })]);
    const repo = jarvis.forRepo('/repo');
    const turn = (await repo.sessions.create()).stream('Work');
    for await (const step of turn) if (step.type === 'permission') break;
    await mock.dispose('/repo');
    await expect(turn.result).rejects.toMatchObject({ reason: 'interrupted' });
    expect(await repo.permissions.list()).toEqual([]);
    expect(repo.stats().disposals).toMatchObject({ external: 1 });
  });
});

describe('a crash', () => {
  it('keeps what was stored before a crash, with a message that is never finished', async () => {
    const [mock, jarvis] = await aMock();
    mock.script(() => [text('Working'), hang()]);
    const repo = jarvis.forRepo('/repo');
    const session = await repo.sessions.create({ title: 'Kept' });
    const turn = session.stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    const pty = await repo.pty.create();
    mock.crash();
    await expect(session.refresh({ retry: false })).rejects.toMatchObject({ name: 'ConnectionError' });
    mock.restart();
    await expect(turn.result).rejects.toMatchObject({ reason: 'interrupted' });
    expect(await repo.sessions.status()).toEqual({});
    const [, answer] = await session.messages();
    expect(answer?.info).not.toHaveProperty('error');
    expect(answer?.info).not.toHaveProperty('time.completed');
    expect(answer?.parts.find(({ type }) => type === 'text')).toMatchObject({ text: '' });
    await expect(repo.pty.get(pty.id)).rejects.toMatchObject({ status: 404 });
    mock.reply('I am back.');
    expect((await session.prompt('Go on')).text).toBe('I am back.');
    expect(mock.sessions()).toMatchObject([{ id: session.id, title: 'Kept' }]);
  }, 20_000);
});
