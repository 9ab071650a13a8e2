import type { JarvisOpenCode, PromptInput, RepoClient, Session } from 'jarvis-opencode';
import { empty, fail, reasoning, subtask, text, tool, type MockStep } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { worlds, type World } from './worlds.js';

const todo = tool('todowrite', { todos: [] });

// Which message of a turn is its answer, and that a summary never is.
describe.each(worlds)('the answer of a turn in $name', ({ open }) => {
  let world: World;
  let repo: RepoClient;
  /** Another client. */
  let counted: JarvisOpenCode;
  /** The paths of what it has requested. */
  const sent: string[] = [];
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.repo());
    counted = await world.connect({
      idle: false,
      fetch: (url, init) => {
        sent.push(new URL(url instanceof Request ? url.url : url).pathname);
        return fetch(url, init);
      },
    });
  });
  afterAll(() => world?.close());
  beforeEach(() => {
    world.script(({ prompt }) => [text(`Re: ${prompt}`)]);
    world.summary(() => [text('What was said')]);
  });

  async function prompted(): Promise<Session> {
    const session = await repo.sessions.create({ title: 'Answers' });
    await session.prompt('one');
    return session;
  }

  /** The roles of all messages, `summary` for a summary. */
  async function rolesOf(session: Session): Promise<string[]> {
    const messages = await session.messages();
    return messages.map(({ info }) =>
      info.role === 'assistant' && info.summary === true ? 'summary' : info.role,
    );
  }

  /** Asks for a summary past the library. */
  async function summarizeElsewhere({ id }: Session): Promise<void> {
    const response = await world.fetch(`/session/${id}/summarize`, {
      method: 'POST',
      directory: repo.directory,
      json: { providerID: 'scripted', modelID: 'scripted' },
    });
    expect(await response.json()).toBe(true);
  }

  it('answers with the last of several messages and joins their texts into the transcript', async () => {
    world.script(() => [text('Let me look.'), tool('todowrite', { todos: [] }), text('It is fine.')]);
    const session = await repo.sessions.create({ title: 'Answers' });
    const turn = session.stream('Look');
    const said: string[] = [];
    const messageIDs: string[] = [];
    for await (const step of turn) {
      if (step.type === 'message') {
        messageIDs.push(step.messageID);
        said.push('');
      }
      if (step.type === 'text') said.push((said.pop() ?? '') + step.delta);
    }
    const result = await turn.result;
    expect(result.text).toBe('It is fine.');
    expect(said).toEqual(['Let me look.', 'It is fine.']);
    expect(result.transcript).toBe(said.join('\n\n'));
    expect(messageIDs).toEqual(result.messages.map(({ info }) => info.id));
    expect(messageIDs.at(-1)).toBe(result.message.id);
  });

  it.each<[kind: string, steps: MockStep[], input?: string | PromptInput]>([
    ['of text', [text('One word', { chunks: 4, delayMs: 5 })]],
    ['that thinks first', [reasoning('Hm.'), text('Yes.')]],
    ['with tools one after the other', [todo, text('Now this.'), todo, text('Done.')]],
    ['with tools at the same time', [text('All at once.'), todo, todo, todo, text('Done.')]],
    ['that edits a file', [tool('write', { filePath: 'new.txt', content: 'new\n' }), text('Written.')]],
    ['with a tool that fails', [tool('read', { filePath: '/no/such/file' }), text('Not there.')]],
    ['after an empty answer', [empty(), text('Second try.')]],
    ['that a subagent helps with', [subtask('Look'), text('Two eyes.')]],
    [
      'to a prompt with a file',
      [text('Read.')],
      {
        parts: [
          { type: 'text', text: 'Read' },
          { type: 'file', mime: 'text/plain', filename: 'a.txt', url: 'data:text/plain;base64,YQ==' },
        ],
      },
    ],
  ])(
    'answers a turn %s with all that is stored of it, a quick one in one request',
    async (_kind, steps, input = 'Go') => {
      const { sessions } = counted.forRepo(repo.directory);
      const session = await sessions.create({ title: 'Answers' });
      await session.prompt('one');
      world.script(({ session: { parentID } }) => (parentID === undefined ? steps : [text('Seen.')]));
      sent.length = 0;
      const sentAt = performance.now();
      const result = await session.prompt(input);
      // The server is asked when nothing is heard of the turn for 250 ms.
      if (performance.now() - sentAt < 250) expect(sent).toEqual([`/session/${session.id}/prompt_async`]);
      const stored = (await session.messages()).slice(3);
      expect(stored.length).toBeGreaterThan(0);
      expect(result.messages).toEqual(stored);
      expect({ info: result.message, parts: result.parts }).toEqual(stored.at(-1));
    },
  );

  it('needs one request for a plain turn, and one more when the instance is not loaded', async () => {
    const own = counted.forRepo(repo.directory);
    const session = await own.sessions.create({ title: 'Answers' });
    await session.prompt('one');
    const prompting = `/session/${session.id}/prompt_async`;
    /** What each of a few turns sends: one that the machine holds up for 250 ms asks the server how it is. */
    const turns = async (prepare: () => Promise<unknown>): Promise<string[][]> => {
      const all: string[][] = [];
      for (let turn = 0; turn < 5; turn++) {
        await prepare();
        sent.length = 0;
        await session.prompt('two');
        all.push([...sent]);
      }
      return all;
    };
    expect(await turns(() => Promise.resolve())).toContainEqual([prompting]);
    expect(await turns(() => own.dispose())).toContainEqual(['/path', prompting]);
  });

  it('answers a prompt after a summary with the text of the model', async () => {
    const session = await prompted();
    await session.summarize('scripted/scripted');
    expect(await rolesOf(session)).toEqual(['user', 'assistant', 'user', 'summary']);
    expect((await session.prompt('two')).text).toBe('Re: two');
  });

  it('summarizes with the model of the session when the caller names none', async () => {
    const session = await prompted();
    await session.summarize();
    expect(await rolesOf(session)).toEqual(['user', 'assistant', 'user', 'summary']);
    const elsewhere = (await world.connect()).forRepo(repo.directory).sessions.session(session.id);
    await elsewhere.summarize();
    expect((await rolesOf(session)).filter((role) => role === 'summary')).toHaveLength(2);
  });

  it('answers a prompt after the provider refused a summary', async () => {
    const session = await prompted();
    world.summary(() => [fail('APIError', 'refused')]);
    await expect(session.summarize()).rejects.toMatchObject({
      name: 'TurnError',
      reason: 'provider',
      sessionID: session.id,
      serverError: { name: 'APIError', data: { message: expect.stringContaining('refused') as string } },
    });
    expect(await rolesOf(session)).toEqual(['user', 'assistant']);
    world.summary(() => [text('What was said')]);
    expect((await session.prompt('two')).text).toBe('Re: two');
    expect(await rolesOf(session)).toEqual(['user', 'assistant', 'user', 'assistant']);
  });

  it('rejects an empty summary and leaves the history as it was', async () => {
    const session = await prompted();
    world.summary(() => [text(' ')]);
    await expect(session.summarize()).rejects.toMatchObject({
      reason: 'failed',
      message: expect.stringContaining('the summary is empty') as string,
    });
    expect(await rolesOf(session)).toEqual(['user', 'assistant']);
  });

  it('rejects a turn in which OpenCode only repeats a failed summary', async () => {
    const session = await prompted();
    world.summary(() => [fail('APIError', 'refused')]);
    await summarizeElsewhere(session);
    world.summary(() => [text('What was said')]);
    await expect(session.prompt('two')).rejects.toMatchObject({ name: 'TurnError', reason: 'summarized' });
    expect((await session.prompt('three')).text).toBe('Re: three');
  });
});
