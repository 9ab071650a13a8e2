import { text } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { worlds, type WireRequest, type World } from './worlds.js';

const PATIENCE = { timeout: 20_000, interval: 50 };
const UNKNOWN = 'ses_00000000000000000000000000';

// What the library relies on without showing it: status codes, error bodies, and how a directory is found.
describe.each(worlds)('the wire of $name', ({ open }) => {
  let world: World;
  let directory: string;
  beforeAll(async () => {
    world = await open();
    directory = await world.repo();
  });
  afterAll(() => world?.close());
  beforeEach(() => world.script(() => [text('ok')]));

  /** Status and parsed body. */
  async function ask(path: string, request?: WireRequest): Promise<[number, unknown]> {
    const response = await world.fetch(path, { directory, ...request });
    const body = await response.text();
    return [response.status, body === '' ? '' : JSON.parse(body)];
  }

  async function newSession(request: WireRequest = {}): Promise<string> {
    const [, session] = await ask('/session', { method: 'POST', json: {}, ...request });
    return (session as { id: string }).id;
  }

  it('answers health without a directory', async () => {
    const response = await world.fetch('/global/health');
    expect([response.status, await response.json()]).toEqual([200, { healthy: true, version: '1.18.33' }]);
  });

  it.each([false, 'wrong'] as const)('refuses the password %j with an empty 401', async (password) => {
    for (const path of ['/global/health', '/session', '/nope']) {
      const response = await world.fetch(path, { password });
      expect([response.status, await response.text()]).toEqual([401, '']);
      expect(response.headers.get('www-authenticate')).toMatch(/^Basic /);
    }
  });

  it('answers unknown paths with its web page', async () => {
    const response = await world.fetch('/nope', { directory });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
  });

  it('answers 404 with the name and the id of what does not exist', async () => {
    const notFound = (message: string): unknown => [404, { name: 'NotFoundError', data: { message } }];
    const unknown = notFound(`Session not found: ${UNKNOWN}`);
    expect(await ask(`/session/${UNKNOWN}`)).toEqual(unknown);
    expect(await ask(`/session/${UNKNOWN}`, { method: 'DELETE' })).toEqual(unknown);
    expect(await ask(`/session/${UNKNOWN}/message`)).toEqual(unknown);
    const prompt = { method: 'POST', json: { parts: [] } };
    expect(await ask(`/session/${UNKNOWN}/prompt_async`, prompt)).toEqual(unknown);
    const sessionID = await newSession();
    expect(await ask(`/session/${sessionID}/message/msg_x`)).toEqual(notFound('Message not found: msg_x'));
    for (const [kind, path, id] of [
      ['Permission', '/permission/per_x/reply', 'per_x'],
      ['Question', '/question/que_x/reject', 'que_x'],
    ] as const) {
      const [status, body] = await ask(path, { method: 'POST', json: { reply: 'once' } });
      const message = `${kind} request not found: ${id}`;
      expect([status, body]).toEqual([404, { _tag: `${kind}NotFoundError`, requestID: id, message }]);
    }
  });

  it('answers 400 with what it expected', async () => {
    const sessionID = await newSession();
    const refused = (message: string, kind: string): unknown => [
      400,
      { name: 'BadRequest', data: { message, kind } },
    ];
    const prompt = (json: unknown): Promise<unknown> =>
      ask(`/session/${sessionID}/prompt_async`, { method: 'POST', json });
    expect(await prompt({})).toEqual(refused('Missing key\n  at ["parts"]', 'Payload'));
    expect(await prompt({ parts: 3 })).toEqual(refused('Expected array, got 3\n  at ["parts"]', 'Payload'));
    const notMessageID = 'Expected a string starting with "msg", got "foo"\n  at ["messageID"]';
    expect(await prompt({ messageID: 'foo', parts: [] })).toEqual(refused(notMessageID, 'Payload'));
    expect(await ask(`/session/${sessionID}/message/foo`)).toEqual(refused(notMessageID, 'Params'));
    expect(await ask(`/session/${sessionID}/message?limit=x`)).toEqual(
      refused('Expected an integer, got NaN\n  at ["limit"]', 'Query'),
    );
    expect(await ask(`/session/${sessionID}/message?limit=-1`)).toEqual(
      refused('Expected a value greater than or equal to 0, got -1\n  at ["limit"]', 'Query'),
    );
    expect(await ask('/session?roots=maybe')).toEqual(
      refused('Expected "true" | "false", got "maybe"\n  at ["roots"]', 'Query'),
    );
    const badBody = [400, { _tag: 'BadRequest' }];
    expect(await ask('/session', { method: 'POST', json: { title: 3 } })).toEqual(badBody);
    expect(await ask('/session', { method: 'POST', body: '{bad' })).toEqual(badBody);
    expect(await ask(`/session/${sessionID}/message?limit=1&before=x`)).toEqual(badBody);
  });

  it('answers 500 to unforeseen errors', async () => {
    const data = { message: expect.any(String), ref: expect.any(String) };
    const unknown = [500, { name: 'UnknownError', data }];
    expect(await ask('/session/nope')).toEqual(unknown);
    expect(await ask('/session/nope/abort', { method: 'POST' })).toEqual(unknown);
    const sessionID = await newSession();
    const malformed = { method: 'POST', body: '{bad', headers: { 'content-type': 'application/json' } };
    expect(await ask(`/session/${sessionID}/prompt_async`, malformed)).toEqual(unknown);
  });

  it('accepts prompts as JSON only', async () => {
    const response = await world.fetch(`/session/${await newSession()}/prompt_async`, {
      method: 'POST',
      body: '{"parts":[]}',
      headers: { 'content-type': 'text/plain' },
      directory,
    });
    expect([response.status, await response.text()]).toEqual([415, 'Unsupported content-type: text/plain']);
  });

  it('answers true to an abort without a running turn', async () => {
    const sessionID = await newSession();
    expect(await ask(`/session/${sessionID}/abort`, { method: 'POST' })).toEqual([200, true]);
    expect(await ask(`/session/${UNKNOWN}/abort`, { method: 'POST' })).toEqual([200, true]);
  });

  it('adds to a message that a client sends again, without a second answer', async () => {
    const sessionID = await newSession({ json: { title: 'Again' } });
    await using events = world.jarvis.events({ sessionID, types: ['session.idle'] });
    await events.ready;
    const send = (words: string): Promise<unknown> => {
      const json = { messageID: 'msg_again', parts: [{ type: 'text', text: words }] };
      return ask(`/session/${sessionID}/prompt_async`, { method: 'POST', json });
    };
    const isIdle = events[Symbol.asyncIterator]();
    expect(await send('once')).toEqual([204, '']);
    await isIdle.next();
    expect(await send('more')).toEqual([204, '']);
    await isIdle.next();
    const [, messages] = await ask(`/session/${sessionID}/message`);
    expect(messages).toMatchObject([
      { info: { id: 'msg_again', role: 'user' }, parts: [{ text: 'once' }, { text: 'more' }] },
      { info: { role: 'assistant', parentID: 'msg_again' } },
    ]);
    expect(messages).toHaveLength(2);
  });

  it('lists the project by the header, and one directory by the query, decoded twice', async () => {
    const [here, there] = await world.clones();
    const mine = await newSession({ directory: here });
    const theirs = await newSession({ directory: there });
    const ids = async (path: string, pinned: string): Promise<string[]> => {
      const [, sessions] = await ask(path, { directory: pinned });
      return (sessions as { id: string }[]).map(({ id }) => id);
    };
    expect((await ids('/session', here)).sort()).toEqual([mine, theirs].sort());
    const twice = encodeURIComponent(encodeURIComponent(there));
    expect(await ids(`/session?directory=${twice}`, here)).toEqual([theirs]);
    expect(await ids(`/session?directory=${twice}&limit=0`, here)).toEqual([]);
    expect(await ids(`/session?directory=${twice}&limit=x&start=x`, here)).toEqual([theirs]);

    const odd = await world.oddRepo();
    const oddSession = await newSession({ directory: odd });
    const oddTwice = encodeURIComponent(encodeURIComponent(odd));
    expect(await ids(`/session?directory=${oddTwice}`, here)).toEqual([oddSession]);
    expect(await ids(`/session?directory=${encodeURIComponent(odd)}`, here)).toEqual([]);
  });

  it('runs a session in its own directory, whatever the request names', async () => {
    const other = await world.repo();
    const sessionID = await newSession();
    await using events = world.jarvis.events({ sessionID, types: ['session.idle'] });
    await events.ready;
    await ask(`/session/${sessionID}/abort`, { method: 'POST', directory: other });
    for await (const event of events) {
      expect(event.directory).toBe(directory);
      break;
    }
  });

  it('decodes the directory of a session once more, unless its id is escaped in the path', async () => {
    const odd = await world.oddRepo();
    const sessionID = await newSession({ directory: odd });
    await using events = world.jarvis.events({ sessionID, types: ['session.idle'] });
    await events.ready;
    const escaped = sessionID.replace('_', '%5F');
    await ask(`/session/${sessionID}/abort`, { method: 'POST', directory: odd });
    await ask(`/session/${escaped}/abort`, { method: 'POST', directory: odd });
    expect(await ask(`/session/${escaped}`, { directory: odd })).toMatchObject([200, { id: sessionID }]);
    const directories: (string | undefined)[] = [];
    for await (const event of events) if (directories.push(event.directory) === 2) break;
    expect(directories).toEqual([decodeURIComponent(odd), odd]);
  });

  it('sends every durable event a second time, as a sync frame under the same id', async () => {
    const reading = new AbortController();
    const response = await world.fetch('/global/event', { signal: reading.signal });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const payloads: Payload[] = [];
    const read = readPayloads(response, payloads);
    // What happens right after it was opened can be missing from the stream: one of these is not.
    await vi.waitFor(async () => {
      await newSession();
      expect(payloads.map(({ type }) => type)).toContain('sync');
    }, PATIENCE);
    reading.abort();
    await read;
    expect(payloads[0]).toMatchObject({ type: 'server.connected', properties: {} });
    const index = payloads.findIndex(({ type }) => type === 'sync');
    const [event, sync] = payloads.slice(index - 1);
    expect(event).toMatchObject({ type: 'session.created', id: sync?.id });
    expect(sync).toEqual({
      id: event?.id,
      type: 'sync',
      syncEvent: {
        id: event?.id,
        type: 'session.created.1',
        seq: 0,
        aggregateID: event?.properties?.['sessionID'],
        data: event?.properties,
      },
    });
  });
});

interface Payload {
  readonly type: string;
  readonly id: string;
  readonly properties?: Readonly<Record<string, unknown>>;
}

/** Collects what an event stream sends until it ends, however that comes. */
async function readPayloads(response: Response, payloads: Payload[]): Promise<void> {
  const decoder = new TextDecoder();
  let received = '';
  try {
    for await (const chunk of response.body ?? []) {
      const frames = (received + decoder.decode(chunk, { stream: true })).split('\n\n');
      received = frames.pop() ?? '';
      for (const frame of frames) {
        const envelope = JSON.parse(frame.replace(/^data: /, '')) as { readonly payload: Payload };
        payloads.push(envelope.payload);
      }
    }
  } catch {
    // aborted
  }
}
