import {
  readTurn,
  type EventStream,
  type JarvisOpenCode,
  type OpenCodeEvent,
  type PermissionRule,
  type RemoteTurn,
  type RepoClient,
  type Session,
} from 'jarvis-opencode';
import {
  afterTools,
  question,
  text,
  tool,
  type MockStep,
  type MockToolResult,
  waitFor,
} from 'jarvis-opencode/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { chatBackend } from '../../examples/chat-backend.js';
import { gate } from './helpers.js';
import { worlds, type WireRequest, type World } from './worlds.js';

const PATIENCE = { timeout: 20_000, interval: 20 };
const ASK: PermissionRule[] = [{ permission: 'bash', pattern: '*', action: 'ask' }];
const echo = (word: string): MockStep =>
  tool('bash', { command: `echo ${word}`, description: 'Say it' }, `${word}\n`);

// A turn waits for the user, and what it does then depends on the answer.
describe.each(worlds)('permissions and questions in $name', ({ open }) => {
  let world: World;
  let repo: RepoClient;
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.repo());
    world.script(() => [text('warm')]);
    await (await repo.sessions.create()).prompt('Warm up');
  });
  afterAll(() => world?.close());

  async function ask(path: string, request?: WireRequest): Promise<[number, unknown]> {
    const response = await world.fetch(path, { directory: repo.directory, ...request });
    const body = await response.text();
    return [response.status, body === '' ? '' : JSON.parse(body)];
  }

  /** Prompts a session, lets `reply` answer what it asks first, and tells what came of the turn. */
  async function turnOf(
    steps: readonly MockStep[],
    reply: (session: Session) => Promise<void>,
    permission = ASK,
  ): Promise<{ readonly story: string[]; readonly tools: unknown[]; readonly texts: string[] }> {
    world.script(() => steps);
    const session = await repo.sessions.create({ title: 'Ask', permission });
    await using events = session.events();
    await events.ready;
    const result = session.prompt('Go').catch((error: unknown) => error);
    await reply(session);
    await result;
    const story = await storyOf(events);
    const parts = (await session.messages()).flatMap((message) => message.parts);
    return {
      story,
      tools: parts.flatMap((part) => (part.type === 'tool' ? [part.state] : [])),
      texts: parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])),
    };
  }

  async function firstPermission(count = 1): Promise<{ id: string; sessionID: string }[]> {
    return vi.waitFor(async () => {
      const pending = await repo.permissions.list();
      expect(pending).toHaveLength(count);
      return pending;
    }, PATIENCE);
  }

  it('gives what a session waits for to a client that joins its turn', async () => {
    world.script(() => [echo('joined'), text('Said.')]);
    const session = await repo.sessions.create({ title: 'Ask', permission: ASK });
    const turn = session.stream('Go');
    await firstPermission();
    const elsewhere = (await world.connect({ idle: false }))
      .forRepo(repo.directory)
      .sessions.session(session.id);
    const caller = new AbortController();
    const asked: string[] = [];
    // One that leaves takes nothing from those that stay.
    const left = await elsewhere.attach({ signal: caller.signal });
    for await (const step of left ?? []) {
      if (step.type !== 'permission') continue;
      asked.push(step.request.id);
      caller.abort('enough');
    }
    await expect(left?.result).rejects.toBe('enough');
    const joined = await elsewhere.attach();
    for await (const step of joined ?? []) {
      if (step.type !== 'permission') continue;
      asked.push(step.request.id);
      expect(await step.allow()).toBe('answered');
    }
    expect(new Set(asked).size).toBe(1);
    expect(asked).toHaveLength(2);
    const result = await turn.result;
    expect(result.text).toBe('Said.');
    expect(await joined?.result).toEqual(result);

    const next = session.prompt('Again');
    await firstPermission();
    const answering = await session.attach({ onPermission: 'allow' });
    expect((await answering?.result)?.text).toBe('Said.');
    expect((await next).text).toBe('Said.');
  });

  it('runs a tool that the user allows and goes on with the turn', async () => {
    let asked: unknown;
    const { story, tools, texts } = await turnOf([echo('once'), text('Said.')], async (session) => {
      const [pending] = await firstPermission();
      asked = pending;
      expect(await repo.sessions.status()).toEqual({ [session.id]: { type: 'busy' } });
      await repo.permissions.reply(pending?.id ?? '', { reply: 'once' });
    });
    expect(asked).toEqual({
      id: expect.stringMatching(/^per_/),
      sessionID: expect.stringMatching(/^ses_/),
      permission: 'bash',
      patterns: ['echo once'],
      metadata: { command: 'echo once' },
      always: [expect.any(String)],
      tool: { messageID: expect.stringMatching(/^msg_/), callID: expect.stringMatching(/^call_/) },
    });
    expect(story).toEqual([
      'tool pending',
      'permission.asked',
      'permission.replied once',
      'tool completed',
      'finish tool-calls',
      'finish stop',
      'idle',
    ]);
    expect(tools).toMatchObject([{ status: 'completed', output: 'once\n' }]);
    expect(texts).toEqual(['Go', 'Said.']);
  });

  it('ends the turn without an error when the user rejects a tool without a message', async () => {
    const { story, tools, texts } = await turnOf([echo('no'), text('Not said.')], async () => {
      const [pending] = await firstPermission();
      await repo.permissions.reply(pending?.id ?? '', { reply: 'reject' });
    });
    expect(story.slice(-4)).toEqual(['permission.replied reject', 'tool error', 'finish tool-calls', 'idle']);
    const error = 'The user rejected permission to use this specific tool call.';
    expect(tools).toMatchObject([{ status: 'error', error }]);
    expect(texts).toEqual(['Go']);
  });

  it('tells the model why the user rejected a tool and lets it go on', async () => {
    const { story, tools, texts } = await turnOf([echo('no'), text('Then not.')], async () => {
      const [pending] = await firstPermission();
      await repo.permissions.reply(pending?.id ?? '', { reply: 'reject', message: 'ask me later' });
    });
    expect(story.slice(-5)).toEqual([
      'permission.replied reject',
      'tool error',
      'finish tool-calls',
      'finish stop',
      'idle',
    ]);
    expect(tools).toMatchObject([
      { error: expect.stringMatching(/with the following feedback: ask me later$/) },
    ]);
    expect(texts).toEqual(['Go', 'Then not.']);
  });

  it('rejects every pending request of a session with one rejection', async () => {
    const { tools } = await turnOf([echo('one'), echo('two')], async () => {
      const [pending] = await firstPermission(2);
      await repo.permissions.reply(pending?.id ?? '', { reply: 'reject' });
      expect(await repo.permissions.list()).toEqual([]);
    });
    expect(tools).toMatchObject([{ status: 'error' }, { status: 'error' }]);
  });

  it('remembers "always" answers until the instance is disposed', async () => {
    const steps = [echo('always'), text('Said.')];
    const allow = async (): Promise<void> => {
      const [pending] = await firstPermission();
      await repo.permissions.reply(pending?.id ?? '', { reply: 'always' });
    };
    const first = await turnOf(steps, allow);
    expect(first.story).toContain('permission.replied always');
    const second = await turnOf(steps, async () => undefined);
    expect(second.story).not.toContain('permission.asked');
    expect(second.tools).toMatchObject([{ status: 'completed', output: 'always\n' }]);
    await repo.dispose();
    const third = await turnOf(steps, allow);
    expect(third.story).toContain('permission.asked');
    await repo.dispose();
  });

  it('denies what a rule denies without asking', async () => {
    const denied: PermissionRule[] = [{ permission: 'bash', pattern: 'echo denied*', action: 'deny' }];
    const { story, tools, texts } = await turnOf(
      [echo('denied'), text('It may not be.')],
      async () => undefined,
      denied,
    );
    expect(story).not.toContain('permission.asked');
    expect(tools).toMatchObject([
      { status: 'error', error: expect.stringContaining('a rule which prevents you') },
    ]);
    expect(texts).toEqual(['Go', 'It may not be.']);
  });

  it('answers a request only in its own directory, only once, and by its session from anywhere', async () => {
    const elsewhere = await world.repo();
    const steps = [echo('one'), echo('two'), text('Said.')];
    await turnOf(steps, async (session) => {
      const [first, second] = await firstPermission(2);
      const reply = { method: 'POST', json: { reply: 'once' } };
      const path = `/permission/${first?.id}/reply`;
      const gone = [404, expect.objectContaining({ _tag: 'PermissionNotFoundError', requestID: first?.id })];
      expect(await ask('/permission', { directory: elsewhere })).toEqual([200, []]);
      expect(await ask(path, { ...reply, directory: elsewhere })).toEqual(gone);
      expect(await ask(path, reply)).toEqual([200, true]);
      expect(await ask(path, reply)).toEqual(gone);
      expect(
        await ask(`/session/${session.id}/permissions/${second?.id}`, {
          method: 'POST',
          json: { response: 'once' },
          directory: elsewhere,
        }),
      ).toEqual([200, true]);
    });
  });

  it('lists the requests of an aborted turn until the instance is disposed', async () => {
    const { tools } = await turnOf([echo('late')], async (session) => {
      await firstPermission();
      await session.abort();
    });
    expect(tools).toMatchObject([{ status: 'error', error: 'Tool execution aborted' }]);
    expect(await repo.permissions.list()).toHaveLength(1);
    await repo.dispose();
    expect(await repo.permissions.list()).toEqual([]);
  });

  const colours = question({ question: 'Which?', header: 'Colour', options: ['red', 'blue'] });

  async function firstQuestion(): Promise<{ id: string; questions: unknown }> {
    return vi.waitFor(async () => {
      const [pending] = await repo.questions.list();
      if (pending === undefined) throw new Error('nothing asked');
      return pending;
    }, PATIENCE);
  }

  it('tells the model what the user answered to a question', async () => {
    const { story, tools, texts } = await turnOf([colours, text('Red it is.')], async () => {
      const { id, questions } = await firstQuestion();
      expect(questions).toEqual([
        {
          question: 'Which?',
          header: 'Colour',
          options: [
            { label: 'red', description: 'red' },
            { label: 'blue', description: 'blue' },
          ],
        },
      ]);
      await repo.questions.reply(id, { answers: [['red']] });
      expect(await repo.questions.list()).toEqual([]);
    });
    expect(story).toEqual([
      'tool pending',
      'question.asked',
      'question.replied',
      'tool completed',
      'finish tool-calls',
      'finish stop',
      'idle',
    ]);
    expect(tools).toMatchObject([
      {
        output: `User has answered your questions: "Which?"="red". You can now continue with the user's answers in mind.`,
      },
    ]);
    expect(texts).toEqual(['Go', 'Red it is.']);
  });

  it('ends the turn when the user dismisses a question', async () => {
    const { story, tools } = await turnOf([colours, text('Never.')], async () => {
      await repo.questions.reject((await firstQuestion()).id);
    });
    expect(story.slice(-4)).toEqual(['question.rejected', 'tool error', 'finish tool-calls', 'idle']);
    expect(tools).toMatchObject([{ status: 'error', error: 'The user dismissed this question' }]);
  });

  it('refuses invalid replies with 400', async () => {
    const refused = (message: string, kind: string): unknown => [
      400,
      { name: 'BadRequest', data: { message, kind } },
    ];
    const reply = (path: string, json: unknown): Promise<unknown> => ask(path, { method: 'POST', json });
    expect(await reply('/permission/per_x/reply', { reply: 'maybe' })).toEqual(
      refused('Expected "once" | "always" | "reject", got "maybe"\n  at ["reply"]', 'Payload'),
    );
    expect(await reply('/permission/foo/reply', { reply: 'once' })).toEqual(
      refused('Expected a string starting with "per", got "foo"\n  at ["requestID"]', 'Params'),
    );
    expect(await reply('/question/que_x/reply', { answers: 'x' })).toEqual(
      refused('Expected array, got "x"\n  at ["answers"]', 'Payload'),
    );
  });

  it('gives the answers and the tool results to the script, which goes on with them', async () => {
    const heard: MockToolResult[][] = [];
    const say = (results: readonly MockToolResult[]): MockStep[] => {
      heard.push([...results]);
      return [text(results.map(({ output }) => output.trim()).join(' + '))];
    };
    world.script(({ prompt }) =>
      prompt === 'Ask'
        ? [question({ question: 'Which?', options: ['red', 'blue'] }), afterTools(say)]
        : [
            text('Look.'),
            echo('one'),
            echo('two'),
            afterTools(() => [echo('three'), afterTools(say)]),
            text(' Done.'),
          ],
    );
    const session = await repo.sessions.create({ permission: ASK });
    const answered = await session.prompt('Ask', { onQuestion: { decide: () => ({ answers: [['blue']] }) } });
    expect(answered.text).toContain('"Which?"="blue"');
    const worked = await session.prompt('Work', { onPermission: 'allow' });
    expect(worked.text).toBe('three Done.');
    expect(worked.messages).toHaveLength(3);
    expect(heard[1]).toEqual([
      { tool: 'bash', input: { command: 'echo three', description: 'Say it' }, output: 'three\n' },
    ]);
    world.script(() => [echo('one'), afterTools(say)]);
    const rejected = await session.prompt('Work', {
      onPermission: { decide: () => ({ deny: 'not today' }) },
    });
    expect(rejected.text).toMatch(/^The user rejected permission .* feedback: not today$/);
    world.script(() => [afterTools((results) => [text(`${results.length} tools`)])]);
    expect((await session.prompt('Nothing')).text).toBe('0 tools');
  });

  describe('the chat back end of the examples', () => {
    /** A back end, or the next one that takes over its conversations. */
    async function backend(before?: JarvisOpenCode) {
      const restore = before?.snapshot();
      await before?.close();
      const jarvis = await world.connect({ idle: false, ...(restore && { restore }) });
      const answer = chatBackend(jarvis, new Map([['app', repo.directory]]), () => undefined);
      const send = (path: string, body?: string): Promise<Response> =>
        answer(
          new Request(`http://chat${path}`, {
            method: body === undefined ? 'GET' : 'POST',
            body: body ?? null,
          }),
        );
      return { jarvis, send };
    }

    async function readUntil(turn: RemoteTurn, text: string): Promise<void> {
      let all = '';
      for await (const piece of turn.text) {
        all += piece;
        if (all.includes(text)) return;
      }
      throw new Error(`The turn ended with ${all}`);
    }

    async function permissionOf(turn: RemoteTurn): Promise<string> {
      for await (const step of turn) if (step.type === 'permission') return step.request.id;
      throw new Error('The turn ended without a request.');
    }

    it('gives two pages the same turn, and a page that comes later none', async () => {
      const middle = gate();
      world.script(() => [echo('first'), text('Half. '), waitFor(middle.promise), text('Done.')]);
      const { send } = await backend();
      const first = readTurn(await send('/app/two', 'Go'));
      expect(await (await send(`/app/two/${await permissionOf(first)}`, '"allow"')).json()).toBe('answered');
      await readUntil(first, 'Half.');
      const second = readTurn(await send('/app/two'));
      middle.open();
      expect((await first.result).text).toBe('Half. Done.');
      expect(await second.result).toEqual(await first.result);
      expect((await send('/app/two')).status).toBe(204);
    });

    it('goes on with a turn and with a permission that waits when another process takes over', async () => {
      const middle = gate();
      world.script(() => [
        text('Begun. '),
        waitFor(middle.promise),
        echo('second'),
        afterTools(() => [text('The end.')]),
      ]);
      const one = await backend();
      const lost = readTurn(await one.send('/app/restart', 'Go'));
      await readUntil(lost, 'Begun.');
      const two = await backend(one.jarvis);
      await expect(lost.result).rejects.toMatchObject({ problem: { code: 'CLOSED' } });

      const asking = readTurn(await two.send('/app/restart'));
      middle.open();
      const id = await permissionOf(asking);
      const three = await backend(two.jarvis);
      const rejoined = readTurn(await three.send('/app/restart'));
      expect(await permissionOf(rejoined)).toBe(id);
      expect((await three.send(`/app/restart/${id}`, '"perhaps"')).status).toBe(422);
      expect(await (await three.send(`/app/restart/${id}`, '"allow"')).json()).toBe('answered');
      expect((await rejoined.result).text).toBe('The end.');
      expect(await (await three.send(`/app/restart/${id}`, '"allow"')).json()).toBe('gone');
    });

    it('answers what it does not know with 404', async () => {
      const { send } = await backend();
      expect((await send('/etc/1', 'Go')).status).toBe(404);
      expect((await send('/app/', 'Go')).status).toBe(404);
      expect(await (await send('/app/never')).json()).toMatchObject({
        status: 404,
        code: 'SESSION_NOT_BOUND',
      });
    });
  });
});

/** What the events say of tools, answers and ends, each run of the same word once. */
async function storyOf(events: EventStream): Promise<string[]> {
  const story: string[] = [];
  for await (const event of events) {
    const word = wordFor(event);
    if (word !== undefined && word !== story.at(-1)) story.push(word);
    if (event.type === 'session.idle') break;
  }
  return story;
}

function wordFor(event: OpenCodeEvent): string | undefined {
  switch (event.type) {
    case 'session.idle':
      return 'idle';
    case 'permission.replied':
      return `${event.type} ${event.properties.reply}`;
    case 'permission.asked':
    case 'question.asked':
    case 'question.replied':
    case 'question.rejected':
      return event.type;
    case 'message.part.updated': {
      const { part } = event.properties;
      // It runs before or after it asks, as it happens.
      if (part.type === 'tool' && part.state.status !== 'running') return `tool ${part.state.status}`;
      return part.type === 'step-finish' ? `finish ${part.reason}` : undefined;
    }
    default:
      return undefined;
  }
}
