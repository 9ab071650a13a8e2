import type { RepoClient, Session } from 'jarvis-opencode';
import { text, tool } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { worlds, type World } from './worlds.js';

const COMPANY = { type: 'object', properties: { company: { type: 'string' } }, required: ['company'] };

// What a prompt with a `format` gives, and what becomes of a session that OpenCode 1.18.33 can no longer list as a whole.
describe.each(worlds)('structured output in $name', ({ open }) => {
  let world: World;
  let repo: RepoClient;
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.repo());
  });
  afterAll(() => world?.close());
  beforeEach(() =>
    world.script(({ prompt }) =>
      prompt.startsWith('Object') ? [tool('StructuredOutput', { company: 'A' })] : [text(`Re: ${prompt}`)],
    ),
  );

  const create = (): Promise<Session> => repo.sessions.create({ title: 'Structured' });

  /** The roles of all messages, oldest first. */
  async function rolesOf(session: Session): Promise<string[]> {
    return (await session.messages()).map(({ info }) => info.role);
  }

  it('returns the object that a JSON schema describes', async () => {
    const session = await create();
    const format = { type: 'json_schema', schema: COMPANY } as const;
    const result = await session.prompt({ parts: [{ type: 'text', text: 'Object' }], format });
    expect(result.structured).toEqual({ company: 'A' });
    expect(result.message.structured).toEqual({ company: 'A' });
    expect((await session.prompt('Object', { format: { schema: COMPANY } })).structured).toEqual({
      company: 'A',
    });
    expect((await session.prompt('plain')).structured).toBeUndefined();
  });

  it('returns the output of a zod schema', async () => {
    const schema = z.object({ company: z.string().transform((name) => name.toLowerCase()) });
    const session = await create();
    const turn = session.stream('Object', { format: { schema } });
    const tools: string[] = [];
    for await (const step of turn) if (step.type === 'tool') tools.push(`${step.tool} ${step.status}`);
    expect((await turn.result).structured).toEqual({ company: 'a' });
    expect(tools.at(-1)).toBe('StructuredOutput completed');
  });

  it('rejects with the issues when the object does not fit the zod schema', async () => {
    const session = await create();
    const schema = z.object({ company: z.string(), employees: z.number() });
    await expect(session.prompt('Object', { format: { schema } })).rejects.toMatchObject({
      name: 'TurnError',
      reason: 'format',
      sessionID: session.id,
      issues: [{ path: 'employees' }],
    });
    expect((await session.prompt('plain')).text).toBe('Re: plain');
  });

  it('rejects with reason format when the model gives no object', async () => {
    const session = await create();
    await expect(session.prompt('No', { format: { schema: COMPANY } })).rejects.toMatchObject({
      reason: 'format',
      serverError: { name: 'StructuredOutputError' },
      issues: [{ path: '', message: 'Model did not produce structured output' }],
    });
  });

  it('keeps every message readable that follows an older one', async () => {
    const session = await create();
    await session.prompt('one');
    await session.prompt('Object', { format: { schema: COMPANY } });
    await session.prompt('three');
    expect(await rolesOf(session)).toEqual(['user', 'assistant', 'user', 'assistant', 'user', 'assistant']);
    const [, , prompt, answer] = await session.messages();
    expect(prompt).toMatchObject({ info: { format: { type: 'json_schema', schema: COMPANY } } });
    expect(answer).toMatchObject({ info: { structured: { company: 'A' } } });
    expect(await session.message(prompt?.info.id ?? '')).toEqual(prompt);
    for (const limit of [1, 2, 3, 4, 5, 6, 7, 100]) {
      const roles = (await session.messages({ limit })).map(({ info }) => info.role);
      expect(roles).toHaveLength(Math.min(limit, 6));
      const walked: string[] = [];
      for await (const { info } of session.messages({ limit })) walked.push(info.id);
      expect(new Set(walked).size).toBe(6);
    }
  });

  it('marks the first message of a session as unreadable when it has a format', async () => {
    const session = await create();
    const turn = session.stream('Object', { format: { schema: COMPANY } });
    await turn.result;
    const [first, answer] = await session.messages();
    const unreadable = {
      info: { role: 'unreadable', id: turn.messageID, sessionID: session.id },
      parts: [],
    };
    expect(first).toMatchObject(unreadable);
    expect(answer).toMatchObject({ info: { role: 'assistant', parentID: turn.messageID } });
    expect(await session.message(turn.messageID)).toMatchObject(unreadable);
    expect(await rolesOf(session)).toEqual(['unreadable', 'assistant']);
    await session.abort();
  });

  it('leaves the session usable for a client that did not send the structured prompt', async () => {
    const session = await create();
    await session.prompt('Object', { format: { schema: COMPANY } });
    const other = await world.connect();
    const same = other.forRepo(repo.directory).sessions.session(session.id);
    expect(await rolesOf(same)).toEqual(['unreadable', 'assistant']);
    expect((await same.prompt('next')).text).toBe('Re: next');
    const turn = same.stream('last');
    const deltas: string[] = [];
    for await (const step of turn) if (step.type === 'text') deltas.push(step.delta);
    expect(deltas.join('')).toBe('Re: last');
    expect(await rolesOf(same)).toEqual([
      'unreadable',
      'assistant',
      'user',
      'assistant',
      'user',
      'assistant',
    ]);
    await same.delete();
  });

  it('refuses to fork a session once a message has a format', async () => {
    const session = await create();
    await session.prompt('Object', { format: { schema: COMPANY } });
    await expect(session.fork()).rejects.toMatchObject({ name: 'RequestError', status: 500 });
  });

  it('accepts a schema of a megabyte and a recursive one', async () => {
    const session = await create();
    const long = { ...COMPANY, description: 'x'.repeat(1 << 20) };
    expect((await session.prompt('Object', { format: { schema: long } })).structured).toEqual({
      company: 'A',
    });
    const tree = z.object({
      company: z.string(),
      get parts() {
        return z.array(tree).optional();
      },
    });
    expect((await session.prompt('Object', { format: { schema: tree } })).structured).toEqual({
      company: 'A',
    });
    expect(await rolesOf(session)).toEqual(['unreadable', 'assistant', 'user', 'assistant']);
  });

  it('combines structured output with tools', async () => {
    world.script(() => [
      text('Let me look.'),
      tool('todowrite', { todos: [] }),
      tool('StructuredOutput', { company: 'B' }),
    ]);
    const session = await create();
    const options = { format: { schema: COMPANY } };
    expect((await session.prompt('Look', options)).structured).toEqual({ company: 'B' });
  });
});
