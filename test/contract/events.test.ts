import type { EventStream, OpenCodeEvent } from 'jarvis-opencode';
import { fail, hang, text, tool } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { worlds, type World } from './worlds.js';

describe.each(worlds)('events in $name', ({ open }) => {
  let world: World;
  beforeAll(async () => {
    world = await open();
  });
  afterAll(() => world?.close());
  beforeEach(() => world.script(() => [text('ok')]));

  it('delivers the events of a repository without those of its clone', async () => {
    const [here, there] = (await world.clones()).map((directory) => world.jarvis.forRepo(directory));
    if (here === undefined || there === undefined) throw new Error('no clones');
    await using mine = here.events();
    await using all = world.jarvis.events();
    await Promise.all([mine.ready, all.ready]);
    const theirs = await there.sessions.create();
    await theirs.prompt('Hello');
    const session = await here.sessions.create({ title: 'Mine' });

    const seen = await until(mine, (event) => event.type === 'session.created');
    expect(new Set(seen.map((event) => event.directory))).toEqual(new Set([here.directory]));
    expect(seen.at(-1)).toMatchObject({
      type: 'session.created',
      id: expect.stringMatching(/^evt_/),
      properties: { sessionID: session.id, info: { id: session.id, title: 'Mine' } },
    });
    const everything = await until(all, (event) => isOf(event, 'session.created', session.id));
    expect(everything.some((event) => isOf(event, 'session.created', theirs.id))).toBe(true);
    expect(everything.some((event) => isOf(event, 'session.idle', theirs.id))).toBe(true);
  });

  it('delivers each event of a session once and none of another session', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    const session = await repo.sessions.create();
    const other = await repo.sessions.create();
    await using events = session.events();
    await events.ready;
    await Promise.all([session.prompt('Hello'), other.prompt('Hello')]);
    await session.delete();
    const seen = await until(events, (event) => event.type === 'session.deleted');
    const sessionIDs = seen.map((event) => 'sessionID' in event.properties && event.properties.sessionID);
    expect(new Set(sessionIDs)).toEqual(new Set([session.id]));
    expect(new Set(seen.map((event) => event.id)).size).toBe(seen.length);
    expect(seen.map((event) => event.id)).toEqual(seen.map((event) => event.id).sort());
    expect(seen.map((event) => event.type)).not.toContain('sync');
  });

  it('delivers only the event types that the subscriber names', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    await using events = repo.events({ types: ['session.created', 'session.deleted'] });
    await events.ready;
    const session = await repo.sessions.create();
    await session.prompt('Hello');
    await session.delete();
    const seen = await until(events, (event) => event.type === 'session.deleted');
    expect(seen.map((event) => event.type)).toEqual(['session.created', 'session.deleted']);
  });

  it('ends an event stream for good at a break', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    const events = repo.events();
    await events.ready;
    await repo.sessions.create();
    for await (const event of events) if (event.type === 'session.created') break;
    await repo.sessions.create();
    const later: OpenCodeEvent[] = [];
    for await (const event of events) later.push(event);
    expect(later).toEqual([]);
  });

  it('ends event streams quietly by a signal, by close() and with the client', async () => {
    const jarvis = await world.connect({ idle: false });
    const repo = jarvis.forRepo(await world.repo());
    const caller = new AbortController();
    const bySignal = repo.events({ signal: caller.signal });
    const byClose = repo.events();
    const byClient = repo.events();
    const ends = [bySignal, byClose, byClient].map((events) => until(events, () => false));
    await Promise.all([bySignal.ready, byClose.ready, byClient.ready]);
    caller.abort(new Error('enough'));
    await byClose.close();
    await Promise.all(ends.slice(0, 2));
    await repo.sessions.create();
    await jarvis.close();
    const [signalled, closed, orphaned] = await Promise.all(ends);
    for (const seen of [signalled, closed]) {
      expect(seen?.map((event) => event.type)).not.toContain('session.created');
    }
    expect(orphaned).toBeDefined();
  });

  it('reports the events of a turn in this order', async () => {
    world.script(() => [text('Hello you', { chunks: 2 })]);
    expect(await storyOf(world, async (prompt) => prompt())).toEqual([
      'user',
      'user text',
      'busy',
      'assistant begins',
      'assistant step-start',
      'assistant text ""',
      'delta',
      'assistant text "Hello you"',
      'assistant step-finish stop',
      'assistant completed',
      'idle',
      'session.idle',
    ]);
  });

  it('reports the events of a turn with a tool in this order', async () => {
    world.script(() => [
      tool('bash', { command: 'echo listed', description: 'List' }, 'listed\n'),
      text('Seen'),
    ]);
    expect(await storyOf(world, async (prompt) => prompt())).toEqual([
      'user',
      'user text',
      'busy',
      'assistant begins',
      'assistant step-start',
      'assistant tool pending',
      'assistant tool running',
      'assistant tool completed',
      'assistant step-finish tool-calls',
      'assistant completed',
      'assistant begins',
      'assistant step-start',
      'assistant text ""',
      'delta',
      'assistant text "Seen"',
      'assistant step-finish stop',
      'assistant completed',
      'idle',
      'session.idle',
    ]);
  });

  it('reports the events of a failed turn in this order, with two idle events', async () => {
    world.script(() => [fail('APIError', 'no credit')]);
    expect(await storyOf(world, async (prompt) => prompt())).toEqual([
      'user',
      'user text',
      'busy',
      'assistant begins',
      'error APIError',
      'idle',
      'session.idle',
      'assistant failed APIError',
      'idle',
      'session.idle',
    ]);
  });

  it('reports the events of an aborted turn in this order, with two idle events', async () => {
    world.script(() => [text('Thinking', { chunks: 1 }), hang()]);
    const abortInTheMiddle = async (prompt: () => Promise<unknown>, events: EventStream): Promise<void> => {
      const prompting = prompt();
      for await (const event of events) {
        if (event.type !== 'message.part.delta') continue;
        const repo = world.jarvis.forRepo(event.directory ?? '');
        await repo.sessions.session(event.properties.sessionID).abort();
        break;
      }
      await prompting;
    };
    expect(await storyOf(world, abortInTheMiddle)).toEqual([
      'user',
      'user text',
      'busy',
      'assistant begins',
      'assistant step-start',
      'assistant text ""',
      'delta',
      'error MessageAbortedError',
      'idle',
      'session.idle',
      'assistant text "Thinking"',
      'assistant failed MessageAbortedError',
      'idle',
      'session.idle',
    ]);
  });
});

/** What came up to and with the first event that matches, or to the end of the stream. */
async function until(
  events: AsyncIterable<OpenCodeEvent>,
  isLast: (event: OpenCodeEvent) => boolean,
): Promise<OpenCodeEvent[]> {
  const seen: OpenCodeEvent[] = [];
  for await (const event of events) {
    seen.push(event);
    if (isLast(event)) break;
  }
  return seen;
}

function isOf(event: OpenCodeEvent, type: OpenCodeEvent['type'], sessionID: string): boolean {
  return event.type === type && 'sessionID' in event.properties && event.properties.sessionID === sessionID;
}

/** Prompts and tells the turn's events in words, each run of the same word once. */
async function storyOf(
  world: World,
  act: (prompt: () => Promise<unknown>, events: EventStream) => Promise<unknown>,
): Promise<string[]> {
  const repo = world.jarvis.forRepo(await world.repo());
  const session = await repo.sessions.create({ title: 'Story' });
  await using events = session.events();
  await using trigger = session.events();
  await Promise.all([events.ready, trigger.ready]);
  await act(() => session.prompt('Tell').catch(() => undefined), trigger);
  await session.delete();
  const words: string[] = [];
  for (const event of await until(events, ({ type }) => type === 'session.deleted')) {
    const word = wordFor(event);
    if (word !== undefined && word !== words.at(-1)) words.push(word);
  }
  // The server repeats at any time that it is busy; once says it.
  const firstBusy = words.indexOf('busy');
  const story = words.filter((word, index) => word !== 'busy' || index === firstBusy);
  // Deleting aborts first, and an idle session answers an abort by saying that it is idle.
  return story.slice(0, -2);
}

function wordFor(event: OpenCodeEvent): string | undefined {
  switch (event.type) {
    case 'session.status':
      return event.properties.status.type;
    case 'session.idle':
      return 'session.idle';
    case 'session.error':
      return `error ${event.properties.error?.name}`;
    case 'message.part.delta':
      return 'delta';
    case 'message.updated': {
      const { info } = event.properties;
      if (info.role === 'user') return 'user';
      if (info.error !== undefined) return `assistant failed ${info.error.name}`;
      return info.time.completed === undefined ? 'assistant begins' : 'assistant completed';
    }
    case 'message.part.updated': {
      const { part } = event.properties;
      if (part.type === 'tool') return `assistant tool ${part.state.status}`;
      if (part.type === 'step-finish') return `assistant step-finish ${part.reason}`;
      if (part.type !== 'text') return `assistant ${part.type}`;
      return part.text === 'Tell' ? 'user text' : `assistant text ${JSON.stringify(part.text)}`;
    }
    default:
      return undefined;
  }
}
