import type { Part, RepoClient, Session } from 'jarvis-opencode';
import { hang, reasoning, subtask, text, tool, waitFor } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gate } from './helpers.js';
import { worlds, type WireRequest, type World } from './worlds.js';

const UNKNOWN = 'ses_00000000000000000000000000';
const NO_MESSAGE = { name: 'RequestError', status: 404, serverError: 'NotFoundError' };
const NO_PART = { ...NO_MESSAGE, data: { message: 'Part not found: prt_unknown' } };

// What can be done to a session and its messages, beside prompting.
describe.each(worlds)('the history of a session in $name', ({ open }) => {
  let world: World;
  let repo: RepoClient;
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.repo());
  });
  afterAll(() => world?.close());
  beforeEach(() => world.script(({ prompt }) => [text(`Re: ${prompt}`)]));

  /** Status and parsed body. */
  async function ask(path: string, request?: WireRequest): Promise<[number, unknown]> {
    const response = await world.fetch(path, { directory: repo.directory, ...request });
    const body = await response.text();
    return [response.status, body === '' ? '' : JSON.parse(body)];
  }

  async function prompted(...prompts: readonly string[]): Promise<Session> {
    const session = await repo.sessions.create({ title: 'History' });
    for (const prompt of prompts) await session.prompt(prompt);
    return session;
  }

  /** The texts of the messages, user and assistant. */
  async function textsOf(session: Session): Promise<string[]> {
    const messages = await session.messages();
    return messages.map(({ parts }) =>
      parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join(),
    );
  }

  async function typesUntil(
    events: AsyncIterable<{ readonly type: string }>,
    last: string,
  ): Promise<string[]> {
    const types: string[] = [];
    for await (const { type } of events) {
      types.push(type);
      if (type === last) break;
    }
    return types;
  }

  it('updates a session field by field and appends permission rules', async () => {
    const rule = { permission: 'bash', pattern: 'rm *', action: 'deny' } as const;
    const session = await repo.sessions.create({ title: 'Old', permission: [rule] });
    await using events = session.events({ types: ['session.updated', 'session.deleted'] });
    await events.ready;
    const info = await session.update({
      title: 'New',
      metadata: { ticket: 7 },
      permission: [{ ...rule, pattern: 'mv *' }],
      time: { archived: 5 },
    });
    expect(info).toMatchObject({
      title: 'New',
      metadata: { ticket: 7 },
      permission: [rule, { ...rule, pattern: 'mv *' }],
      time: { archived: 5 },
    });
    await session.update({});
    expect((await repo.sessions.list()).map(({ id }) => id)).toContain(session.id);
    await session.delete();
    const types = await typesUntil(events, 'session.deleted');
    // The event of the creation may come late.
    expect(types.slice(-5)).toEqual([...Array<string>(4).fill('session.updated'), 'session.deleted']);
    expect(await ask(`/session/${UNKNOWN}`, { method: 'PATCH', json: { title: 'x' } })).toMatchObject([
      404,
      {},
    ]);
    const other = await prompted();
    expect(await ask(`/session/${other.id}`, { method: 'PATCH', json: { title: 3 } })).toEqual([
      400,
      {
        name: 'BadRequest',
        data: { message: 'Expected string | null, got 3\n  at ["title"]', kind: 'Payload' },
      },
    ]);
  });

  it('copies a session by a fork, whole or up to a message', async () => {
    const session = await prompted('one', 'two');
    await session.update({ metadata: { ticket: 7 } });
    const messages = await session.messages();
    const fork = await session.fork();
    expect(fork.info).toMatchObject({ title: 'History (fork #1)', metadata: { ticket: 7 }, cost: 0 });
    expect(fork.info?.parentID).toBeUndefined();
    expect(await textsOf(fork)).toEqual(['one', 'Re: one', 'two', 'Re: two']);
    const copied = await fork.messages();
    expect(copied.map(({ info }) => info.id)).not.toContain(messages[0]?.info.id);
    expect(copied[1]?.info).toMatchObject({ role: 'assistant', parentID: copied[0]?.info.id });
    expect((await fork.fork()).info?.title).toBe('History (fork #2)');
    const part = await session.fork({ messageID: messages[2]?.info.id ?? '' });
    expect(await textsOf(part)).toEqual(['one', 'Re: one']);
    const before = await ask('/session');
    await expect(session.fork({ messageID: 'msg_unknown' })).rejects.toMatchObject(NO_MESSAGE);
    expect(await ask('/session')).toEqual(before);
    await fork.prompt('three');
    expect(await textsOf(session)).toHaveLength(4);
  });

  it('reverts a session to a message, for good from the next prompt on', async () => {
    const session = await prompted('one', 'two');
    const [, , second, answer] = await session.messages();
    const revert = { messageID: second?.info.id ?? '' };
    expect(await session.revert(revert)).toMatchObject({ revert });
    expect(await textsOf(session)).toHaveLength(4);
    expect((await session.unrevert()).revert).toBeUndefined();
    // An answer is taken back with its prompt.
    expect(await session.revert({ messageID: answer?.info.id ?? '' })).toMatchObject({ revert });
    // Nothing is reverted to what is not there; an earlier revert stays.
    const unknown = { messageID: 'msg_unknown' };
    const reason = { name: 'RevertError', reason: 'unknown-message', sessionID: session.id, ...unknown };
    await expect(session.revert(unknown)).rejects.toMatchObject(reason);
    await expect(session.revert({ ...revert, partID: 'prt_unknown' })).rejects.toMatchObject({
      reason: 'unknown-part',
    });
    expect(await session.refresh()).toMatchObject({ revert });
    await session.unrevert();
    await expect(session.revert(unknown)).rejects.toMatchObject(reason);
    expect(await session.revert(revert)).toMatchObject({ revert });
    await using events = session.events({ types: ['message.removed', 'session.idle'] });
    await events.ready;
    await session.prompt('three');
    expect(await typesUntil(events, 'session.idle')).toEqual([
      'message.removed',
      'message.removed',
      'session.idle',
    ]);
    expect(await textsOf(session)).toEqual(['one', 'Re: one', 'three', 'Re: three']);
    expect((await session.refresh()).revert).toBeUndefined();
    const missing = {
      name: 'BadRequest',
      data: { message: 'Missing key\n  at ["messageID"]', kind: 'Payload' },
    };
    expect(await ask(`/session/${session.id}/revert`, { method: 'POST', json: {} })).toEqual([400, missing]);
  });

  it('edits a session by message and by part', async () => {
    const session = await prompted('one');
    const [prompt, answer] = await session.messages();
    const part = answer?.parts.find(({ type }) => type === 'text');
    if (prompt === undefined || answer === undefined || part?.type !== 'text') throw new Error('no answer');
    await using events = session.events();
    await events.ready;
    expect(await session.updatePart({ ...part, text: 'changed' })).toMatchObject({ text: 'changed' });
    expect(await textsOf(session)).toEqual(['one', 'changed']);
    await session.deletePart(answer.info.id, part.id);
    expect(await textsOf(session)).toEqual(['one', '']);
    await session.deleteMessage(answer.info.id);
    expect(await textsOf(session)).toEqual(['one']);
    await session.delete();
    const types = (await typesUntil(events, 'session.deleted')).filter((type) => type.startsWith('message'));
    expect(types).toEqual(['message.part.updated', 'message.part.removed', 'message.removed']);
  });

  it('refuses to edit messages and parts that do not exist', async () => {
    const session = await prompted('one');
    const [, answer] = await session.messages();
    const part = answer?.parts.find(({ type }) => type === 'text');
    if (answer === undefined || part === undefined) throw new Error('no answer');
    const messageID = 'msg_unknown';
    await expect(session.deleteMessage(messageID)).rejects.toMatchObject(NO_MESSAGE);
    await expect(session.deletePart(messageID, part.id)).rejects.toMatchObject(NO_MESSAGE);
    await expect(session.updatePart({ ...part, messageID })).rejects.toMatchObject(NO_MESSAGE);
    await expect(session.diff({ messageID })).rejects.toMatchObject(NO_MESSAGE);
    await expect(session.deletePart(answer.info.id, 'prt_unknown')).rejects.toMatchObject(NO_PART);
    await expect(session.updatePart({ ...part, id: 'prt_unknown' })).rejects.toMatchObject(NO_PART);
    expect((await session.messages())[1]).toEqual(answer);
    expect(await session.diff({ messageID: answer.info.id })).toEqual([]);
  });

  it('refuses to edit messages and parts of another session', async () => {
    const [session, other] = [await prompted('one'), await prompted('two')];
    const theirs = await other.messages();
    const [, answer] = await session.messages();
    const part = theirs[1]?.parts.find(({ type }) => type === 'text');
    if (answer === undefined || part?.type !== 'text') throw new Error('no answer');
    const { messageID } = part;
    const mine = { ...part, sessionID: session.id, text: 'changed' };
    await expect(session.updatePart(part)).rejects.toThrow(
      new TypeError(`Invalid part: its sessionID is ${other.id}, expected ${session.id}.`),
    );
    await expect(session.updatePart(mine)).rejects.toMatchObject(NO_MESSAGE);
    await expect(session.updatePart({ ...mine, messageID: answer.info.id })).rejects.toMatchObject({
      ...NO_MESSAGE,
      data: { message: `Part not found: ${part.id}` },
    });
    await expect(session.deleteMessage(messageID)).rejects.toMatchObject(NO_MESSAGE);
    await expect(session.deletePart(messageID, part.id)).rejects.toMatchObject(NO_MESSAGE);
    await expect(session.fork({ messageID })).rejects.toMatchObject(NO_MESSAGE);
    expect(await other.messages()).toEqual(theirs);
  });

  it('edits a part of another session by a bare request', async () => {
    const [session, other] = [await prompted('one'), await prompted('two')];
    const [, answer] = await session.messages();
    const part = (await other.messages())[1]?.parts.find(({ type }) => type === 'text');
    if (answer === undefined || part?.type !== 'text') throw new Error('no answer');
    const patch = (messageID: string, json: object): Promise<[number, unknown]> =>
      ask(`/session/${session.id}/message/${messageID}/part/${(json as Part).id}`, { method: 'PATCH', json });
    const mine = { ...part, sessionID: session.id, messageID: answer.info.id, text: 'changed' };
    expect(await patch(answer.info.id, mine)).toEqual([200, mine]);
    expect(await textsOf(other)).toEqual(['two', 'changed']);
    expect(await textsOf(session)).toEqual(['one', 'Re: one']);
    const added = { ...mine, id: 'prt_zzz', messageID: part.messageID, text: 'added' };
    expect(await patch(part.messageID, added)).toEqual([200, added]);
    expect(await textsOf(other)).toEqual(['two', 'changed,added']);
    const lost = { ...mine, id: 'prt_zzzz', messageID: 'msg_unknown' };
    expect(await patch('msg_unknown', lost)).toMatchObject([500, { name: 'UnknownError' }]);
  });

  it('refuses invalid edits with 400 and unknown sessions with 404', async () => {
    const session = await prompted('one');
    const [message] = await session.messages();
    const path = `/session/${session.id}/message/${message?.info.id}`;
    const part = message?.parts[0];
    const patch = (id: string, json: unknown): Promise<unknown> =>
      ask(`${path}/part/${id}`, { method: 'PATCH', json });
    const refused = (text: string, kind: string): unknown => [
      400,
      { name: 'BadRequest', data: { message: text, kind } },
    ];
    expect(await patch('prt_other', part)).toEqual([400, { _tag: 'BadRequest' }]);
    expect(await patch('prt_x', { text: 'x' })).toEqual(
      refused('Expected Part, got {"text":"x"}', 'Payload'),
    );
    expect(await ask(`${path}/part/foo`, { method: 'DELETE' })).toEqual(
      refused('Expected a string starting with "prt", got "foo"\n  at ["partID"]', 'Params'),
    );
    const unknown = [404, { name: 'NotFoundError', data: { message: `Session not found: ${UNKNOWN}` } }];
    for (const [method, rest, json] of [
      ['GET', '/children', undefined],
      ['GET', '/todo', undefined],
      ['DELETE', '/message/msg_x', undefined],
      ['DELETE', '/message/msg_x/part/prt_x', undefined],
      ['POST', '/fork', {}],
      ['POST', '/revert', { messageID: 'msg_x' }],
      ['POST', '/shell', { agent: 'build', command: 'true' }],
      ['POST', '/command', { command: 'init', arguments: '' }],
      ['POST', '/summarize', { providerID: 'p', modelID: 'm' }],
      ['POST', '/message', { parts: [] }],
      ['POST', '/permissions/per_x', { response: 'once' }],
    ] as const) {
      const answer = await ask(`/session/${UNKNOWN}${rest}`, { method, ...(json && { json }) });
      expect([rest, ...answer]).toEqual([rest, ...unknown]);
    }
  });

  it('refuses to change the history while the session is busy', async () => {
    world.script(() => [text('Working'), hang()]);
    const session = await repo.sessions.create({ title: 'Busy' });
    const turn = session.stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    // What is being written is stored when it is complete.
    expect(await textsOf(session)).toEqual(['Work', '']);
    const busy = [
      409,
      { _tag: 'SessionBusyError', sessionID: session.id, message: `Session is busy: ${session.id}` },
    ];
    const post = { method: 'POST' };
    const { id } = session;
    expect(await ask(`/session/${id}/shell`, { ...post, json: { agent: 'build', command: 'true' } })).toEqual(
      busy,
    );
    expect(await ask(`/session/${id}/revert`, { ...post, json: { messageID: turn.messageID } })).toEqual(
      busy,
    );
    expect(await ask(`/session/${id}/unrevert`, post)).toEqual(busy);
    expect(await ask(`/session/${id}/message/${turn.messageID}`, { method: 'DELETE' })).toEqual(busy);
    await turn.abort();
    await turn.result.catch(() => undefined);
  });

  it('returns an empty diff without snapshots, although a tool wrote a file', async () => {
    const input = { filePath: `${repo.directory}/new.txt`, content: 'new\n' };
    world.script(() => [tool('write', input, 'Wrote file successfully.'), text('Written.')]);
    const session = await repo.sessions.create();
    const turn = session.stream('Write');
    const { messages } = await turn.result;
    expect(messages[0]?.parts.find(({ type }) => type === 'tool')).toMatchObject({
      state: { status: 'completed', output: 'Wrote file successfully.' },
    });
    expect(await session.diff()).toEqual([]);
    expect(await session.diff({ messageID: turn.messageID })).toEqual([]);
  });

  it('stores the reasoning and the todos of the model', async () => {
    const todos = [{ content: 'Mend', status: 'pending', priority: 'high' }];
    world.script(() => [
      reasoning('Let me see.', { chunks: 2 }),
      tool('todowrite', { todos }),
      text('Noted.'),
    ]);
    const session = await repo.sessions.create({ title: 'Todo' });
    const { messages } = await session.prompt('Plan');
    expect(messages[0]?.parts.map(({ type }) => type)).toEqual([
      'step-start',
      'reasoning',
      'tool',
      'step-finish',
    ]);
    expect(messages[0]?.parts[1]).toMatchObject({ type: 'reasoning', text: 'Let me see.' });
    expect(await session.todos()).toEqual(todos);
    expect(await session.diff()).toEqual([]);
  });

  it('creates a child session for each subtask, which becomes idle before its parent', async () => {
    world.script(({ prompt, session }) =>
      session.parentID === undefined
        ? [subtask('Count', { description: 'Counting', agent: 'general' }), text('They counted.')]
        : [text(`I was asked: ${prompt}`)],
    );
    const session = await repo.sessions.create({ title: 'Parent' });
    await using events = repo.events({ types: ['session.idle'] });
    await events.ready;
    const { text: answer, messages } = await session.prompt('Delegate');
    expect(answer).toBe('They counted.');
    const [child] = await session.children();
    expect(child?.info).toMatchObject({
      parentID: session.id,
      title: 'Counting (@general subagent)',
      directory: repo.directory,
      permission: [{ permission: 'task', pattern: '*', action: 'deny' }],
    });
    const idle: string[] = [];
    for await (const event of events) {
      if (event.type === 'session.idle' && idle.push(event.properties.sessionID) === 2) break;
    }
    expect(idle).toEqual([child?.id, session.id]);
    const task = messages[0]?.parts.find((part) => part.type === 'tool');
    expect(task).toMatchObject({
      tool: 'task',
      state: {
        title: 'Counting',
        metadata: { parentSessionId: session.id, sessionId: child?.id },
        output: `<task id="${child?.id}" state="completed">\n<task_result>\nI was asked: Count\n</task_result>\n</task>`,
      },
    });
  });

  it('aborts the child session together with its parent', async () => {
    world.script(({ session }) =>
      session.parentID === undefined ? [subtask('Count')] : [text('Counting'), hang()],
    );
    const session = await repo.sessions.create({ title: 'Parent' });
    const counting = gate();
    const turn = session.stream('Delegate');
    const reading = (async () => {
      await using events = repo.events({ types: ['message.part.delta'] });
      for await (const _event of events) break;
      counting.open();
    })();
    await counting.promise;
    await reading;
    await turn.abort();
    await expect(turn.result).rejects.toMatchObject({ reason: 'aborted' });
    expect(await repo.sessions.status()).toEqual({});
  });

  it('stores a shell command of the user without a model call', async () => {
    const session = await repo.sessions.create({ title: 'Shell' });
    const result = await session.shell({ command: 'true', agent: 'build' });
    const [prompt, answer] = await session.messages();
    expect(prompt).toMatchObject({
      info: { role: 'user' },
      parts: [{ type: 'text', text: 'The following tool was executed by the user', synthetic: true }],
    });
    expect(answer).toMatchObject({
      info: { role: 'assistant', parentID: prompt?.info.id, cost: 0 },
      parts: [{ type: 'tool', tool: 'bash', state: { status: 'completed', input: { command: 'true' } } }],
    });
    expect(result.message.id).toBe(answer?.info.id);
    const agent = { info: { agent: 'build' } };
    expect([prompt, answer]).toMatchObject([agent, agent]);
    expect((await session.shell('true')).output).toBe(result.output);
    expect((await session.messages()).slice(2)).toMatchObject([agent, agent]);
  });

  it('runs a known command and rejects an unknown one', async () => {
    const session = await repo.sessions.create({ title: 'Command' });
    await using events = repo.events({ types: ['command.executed', 'session.error'] });
    await events.ready;
    const unknown = { method: 'POST', json: { command: 'no-such-command', arguments: '' } };
    const failed = { name: 'UnknownError', data: { message: expect.any(String), ref: expect.any(String) } };
    expect(await ask(`/session/${session.id}/command`, unknown)).toEqual([500, failed]);
    const { message } = await session.command({ command: 'init', arguments: 'now' });
    const seen = [];
    for await (const event of events) if (seen.push(event) === 2) break;
    expect(seen).toMatchObject([
      {
        type: 'session.error',
        properties: {
          error: { data: { message: expect.stringMatching(/^Command not found: "no-such-command"\./) } },
        },
      },
      {
        type: 'command.executed',
        properties: { name: 'init', sessionID: session.id, arguments: 'now', messageID: message.id },
      },
    ]);
  });

  it('summarizes a session by the model', async () => {
    const session = await prompted('one');
    await using events = session.events({ types: ['session.compacted', 'session.idle'] });
    await events.ready;
    await session.summarize({ providerID: 'scripted', modelID: 'scripted' });
    expect(await typesUntil(events, 'session.idle')).toEqual(['session.compacted', 'session.idle']);
    const [, , prompt, summary] = await session.messages();
    expect(prompt).toMatchObject({ info: { role: 'user' }, parts: [{ type: 'compaction', auto: false }] });
    expect(summary?.info).toMatchObject({ summary: true, agent: 'compaction', parentID: prompt?.info.id });
    expect((await textsOf(session)).at(-1)).toBe('Scripted summary');
  });

  it('stores added context without an answer', async () => {
    const session = await repo.sessions.create({ title: 'Context' });
    await session.addContext('By the way');
    expect(await textsOf(session)).toEqual(['By the way']);
    expect(await repo.sessions.status()).toEqual({});
  });

  it('answers a blocking prompt in the same request', async () => {
    const session = await repo.sessions.create({ title: 'Blocking' });
    const end = gate();
    world.script(() => [text('One '), waitFor(end.promise), text('two.')]);
    const asking = ask(`/session/${session.id}/message`, {
      method: 'POST',
      json: { parts: [{ type: 'text', text: 'Count' }] },
    });
    end.open();
    const [status, message] = await asking;
    const [, stored] = await session.messages();
    expect([status, message]).toMatchObject([200, { info: { id: stored?.info.id, finish: 'stop' } }]);
    expect(await textsOf(session)).toEqual(['Count', 'One two.']);
  });
});
