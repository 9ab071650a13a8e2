import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { OperationRefusedError, SessionDirectoryError, type RepoClient, type Session } from 'jarvis-opencode';
import { operationsOf, readDoc, type Operation } from '../../scripts/api-coverage/doc.js';
import { canonicalRequest } from '../../src/client/repo/canonical.js';
import { FETCH_OPERATIONS } from '../../src/client/repo/operations.js';
import { waitFor } from '../../src/testing/script/steps.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text } from '../support/model-steps.js';
import { deferred } from '../support/wait.js';

let world: RealJarvis;
let repo: RepoClient;
let other: RepoClient;
let foreign: Session;

beforeAll(async () => {
  world = await realJarvis({ idle: { idleTimeoutMs: 600_000 } });
  repo = world.jarvis.forRepo((await world.repo()).directory);
  other = world.jarvis.forRepo((await world.repo()).directory);
  foreign = await other.sessions.create();
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => world.model.use(({ prompt }) => [text(`re: ${prompt}`)]));

/** Sends a request through the repository's `fetch`; an error is its name. */
async function send(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: unknown; body: unknown }> {
  const init = { method, headers: { 'content-type': 'application/json' } };
  const request = body === undefined ? init : { ...init, body: JSON.stringify(body) };
  try {
    const response = await repo.fetch(repo.baseUrl + path, request);
    const answer = await response.text();
    return { status: response.status, body: answer === '' ? undefined : JSON.parse(answer) };
  } catch (error) {
    return { status: (error as Error).name, body: error };
  }
}

/** Makes a child in the other repository, as another client could: the library itself refuses that. */
async function foreignChild(parent: Session): Promise<Session> {
  const { url, authorization = '' } = world.jarvis.server;
  const response = await fetch(`${url}/session`, {
    method: 'POST',
    headers: {
      authorization,
      'content-type': 'application/json',
      'x-opencode-directory': encodeURIComponent(other.directory),
    },
    body: JSON.stringify({ parentID: parent.id }),
  });
  const { id } = (await response.json()) as { id: string };
  return other.sessions.get(id);
}

describe('the table of repo.fetch and the document of the real server', () => {
  let operations: Operation[];
  const refusals = (each: { method: string; path: string }): unknown => {
    try {
      return canonicalRequest(each.method, each.path.replace(/\{[^}]+\}/g, 'ses_x'));
    } catch (error) {
      return error;
    }
  };

  beforeAll(async () => {
    operations = operationsOf(await readDoc(world.jarvis.server));
  });

  it('knows the same operations as the document, each with an answer of its own', () => {
    for (const operation of operations) {
      const found = refusals(operation);
      if (found instanceof OperationRefusedError) expect(found.message).not.toContain('no such operation');
      else expect(found).toMatchObject({ operation: { method: operation.method, template: operation.path } });
    }
    const documented = operations.map(({ name }) => name);
    for (const { method, template } of FETCH_OPERATIONS) {
      const prefix = template.replace(/\/?\*\*$/, '');
      const isKnown = template.endsWith('**')
        ? operations.some(({ path }) => path.startsWith(prefix))
        : documented.includes(`${method} ${template}`);
      expect(`${method} ${template} ${isKnown}`).toBe(`${method} ${template} true`);
    }
  });

  it('knows the same query parameters as the document, except those that choose another directory', () => {
    const elsewhere = new Set(['directory', 'workspace', 'scope']);
    for (const operation of operations) {
      const { treatment } = FETCH_OPERATIONS.find(
        ({ method, template }) => method === operation.method && template === operation.path,
      ) ?? { treatment: undefined };
      if (treatment?.kind !== 'forwarded') continue;
      const documented = operation.parameters
        .filter(({ name, in: where }) => where === 'query' && !elsewhere.has(name))
        .map(({ name }) => name);
      expect([operation.name, ...(treatment.query ?? [])]).toEqual([operation.name, ...documented]);
    }
  });
});

describe('a session of another repository', () => {
  it('refuses a session of another repository in every spelling, without loading its instance', async () => {
    const own = await repo.sessions.create();
    await other.dispose();
    const before = other.stats().boots;
    // A client that knows nothing of the session yet.
    const { JarvisOpenCode } = await import('jarvis-opencode');
    const { url, password } = { url: world.jarvis.server.url, password: passwordOf(world) };
    await using fresh = await JarvisOpenCode.connect({ url, password, paths: 'local', idle: false });
    const pinned = fresh.forRepo(repo.directory);
    const { id } = foreign;
    const paths = [
      `/session/${id}`,
      `//session//${id}/`,
      `/SESSION/${id}`,
      `/%73ession/${id}`,
      `/x/../session/${id}`,
    ];
    paths.push(`/session/${id.replace('_', '%5F')}`, `/experimental/session/${id}/background`);
    for (const path of paths) {
      const method = path.startsWith('/experimental') ? 'POST' : 'GET';
      await expect(pinned.fetch(pinned.baseUrl + path, { method })).rejects.toBeInstanceOf(
        SessionDirectoryError,
      );
    }
    for (const path of ['/session', '/tui/select-session']) {
      const body = JSON.stringify({ parentID: id, sessionID: id });
      await expect(pinned.fetch(pinned.baseUrl + path, { method: 'POST', body })).rejects.toBeInstanceOf(
        SessionDirectoryError,
      );
    }
    expect((await pinned.fetch(`${pinned.baseUrl}/session/${own.id}`)).status).toBe(200);
    // It would have been told of, had it been loaded and disposed.
    expect([other.stats().loaded, other.stats().boots]).toEqual([false, before]);
  });

  it('refuses the message and part ids of another session, which OpenCode compares with no session', async () => {
    const own = await repo.sessions.create();
    await own.prompt('mine');
    await foreign.prompt('theirs');
    const [theirs] = await foreign.messages();
    const messageID = theirs?.info.id ?? '';
    const partID = theirs?.parts[0]?.id ?? '';
    const part = { id: partID, messageID, sessionID: own.id, type: 'text', text: 'overwritten' };
    const parts = [{ type: 'text', text: 'stolen' }];
    const base = `/session/${own.id}`;
    const refused = { status: 'OperationRefusedError' };
    const patched = await send('PATCH', `${base}/message/${messageID}/part/${partID}`, part);
    expect(patched).toMatchObject(refused);
    for (const route of ['message', 'prompt_async']) {
      expect(await send('POST', `${base}/${route}`, { messageID, noReply: true, parts })).toMatchObject(
        refused,
      );
      const withPart = { noReply: true, parts: [{ ...parts[0], id: partID }] };
      expect(await send('POST', `${base}/${route}`, withPart)).toMatchObject(refused);
    }
    expect((await foreign.message(messageID)).parts).toEqual(theirs?.parts);
    const fresh = `msg_${'0'.repeat(8)}fresh`;
    expect(await send('POST', `${base}/message`, { messageID: fresh, noReply: true, parts })).toMatchObject({
      status: 200,
      body: { info: { id: fresh, sessionID: own.id } },
    });
  });

  it('refuses to delete a session that has a child in another repository', async () => {
    const parent = await repo.sessions.create();
    const child = await foreignChild(parent);
    expect(await send('DELETE', `/session/${parent.id}`)).toMatchObject({ status: 'SessionDirectoryError' });
    expect((await send('GET', `/session/${parent.id}/children`)).body).toEqual([]);
    await child.delete();
    expect(await send('DELETE', `/session/${parent.id}`)).toEqual({ status: 200, body: true });
  });
});

describe('what disposes instances', () => {
  it('refuses to dispose instances while one is in use and names the holds, and disposes when none is', async () => {
    const gate = deferred();
    world.model.use(() => [waitFor(gate.promise), text('unharmed')]);
    const [mine, theirs] = [await repo.sessions.create(), await other.sessions.create()];
    const turns = [mine.prompt('a'), theirs.prompt('b')];
    for (const prompt of ['a', 'b']) await world.model.waitForRequest((request) => request.prompt === prompt);
    const config = { username: 'somebody' };
    const calls: [string, string, unknown][] = [
      ['POST', '/instance/dispose', undefined],
      ['PATCH', '//config/', {}],
      ['POST', '/Global/Dispose', undefined],
      ['PATCH', '/global/config', config],
    ];
    for (const [method, path, body] of calls) {
      const { status, body: answer } = await send(method, path, body);
      expect([path, status]).toEqual([path, 409]);
      const { data } = answer as { data: { holds: { kind: string }[] } };
      expect(data.holds.map(({ kind }) => kind)).toContain('turn');
    }
    gate.resolve();
    expect((await Promise.all(turns)).map((result) => result.text)).toEqual(['unharmed', 'unharmed']);
    await vi.waitFor(() => expect([...repo.stats().holds, ...other.stats().holds]).toEqual([]), {
      timeout: 20_000,
    });
    expect(await send('POST', '/global/dispose')).toEqual({ status: 200, body: true });
    expect(other.stats().loaded).toBe(false);
    expect(await send('PATCH', '/global/config', config)).toMatchObject({ status: 200, body: config });
    expect(await send('PATCH', '/config', config)).toMatchObject({ status: 200 });
    expect((await send('POST', '/project/git/init')).body).toMatchObject({ vcs: 'git' });
  });
});

describe('a prompt that is accepted before it begins', () => {
  it('holds a cold instance until the accepted prompt is at work', async () => {
    const gate = deferred();
    world.model.use(() => [waitFor(gate.promise), text('unharmed')]);
    const cold = world.jarvis.forRepo((await world.repo()).directory);
    const sdk = createOpencodeClient({ baseUrl: cold.baseUrl, fetch: cold.fetch });
    const sessionID = (await sdk.session.create({})).data?.id ?? '';
    await vi.waitFor(() => expect(cold.stats().holds).toEqual([]));
    await sdk.session.promptAsync({ sessionID, parts: [{ type: 'text', text: 'cold' }] });
    const kinds = (): string[] => cold.stats().holds.map(({ kind }) => kind);
    expect(kinds().filter((kind) => kind === 'request' || kind === 'session-busy')).not.toEqual([]);
    await expect(cold.dispose()).rejects.toThrow(/is in use/);
    await world.model.waitForRequest((request) => request.prompt === 'cold');
    await vi.waitFor(() => expect(kinds()).toEqual(['session-busy']), { timeout: 10_000 });
    gate.resolve();
    await vi.waitFor(() => expect(kinds()).toEqual([]), { timeout: 10_000 });
  });

  it('holds a cold instance also when the caller gives up after it sent the prompt', async () => {
    const gate = deferred();
    world.model.use(() => [waitFor(gate.promise), text('unharmed')]);
    const session = await repo.sessions.create();
    const giveUp = new AbortController();
    const body = JSON.stringify({ parts: [{ type: 'text', text: 'given up' }] });
    const posting = repo.fetch(`${repo.baseUrl}/session/${session.id}/message`, {
      ...{ method: 'POST', body, signal: giveUp.signal },
    });
    await vi.waitFor(() => expect(repo.stats().holds).not.toEqual([]));
    await world.model.waitForRequest((request) => request.prompt === 'given up');
    giveUp.abort('enough');
    await expect(posting).rejects.toBe('enough');
    expect(repo.stats().holds).not.toEqual([]);
    gate.resolve();
    await vi.waitFor(() => expect(repo.stats().holds).toEqual([]), { timeout: 10_000 });
  });

  it('releases the instance when the accepted prompt will never begin', async () => {
    const session = await repo.sessions.create();
    const parts = [{ type: 'text', text: 'x' }];
    const path = `/session/${session.id}/prompt_async`;
    expect((await send('POST', path, { agent: 'nobody', parts })).status).toBe(204);
    expect((await send('POST', path, { noReply: true, parts })).status).toBe(204);
    await vi.waitFor(() => expect(repo.stats().holds).toEqual([]), { timeout: 10_000 });
  });
});

describe('a terminal', () => {
  it('opens a terminal in the repository only', async () => {
    const inside = join(repo.directory, 'inside');
    await mkdir(inside, { recursive: true });
    await writeFile(join(inside, 'a.txt'), 'a');
    expect(await send('POST', '/pty', { cwd: other.directory })).toMatchObject({
      status: 'OperationRefusedError',
    });
    const { body } = await send('POST', '/pty', { command: 'sleep', args: ['60'], cwd: inside });
    expect(body).toMatchObject({ cwd: inside });
    expect((await send('DELETE', `/pty/${(body as { id: string }).id}`)).body).toBe(true);
  });
});

/** The password of the server of this test. */
function passwordOf({ jarvis }: RealJarvis): string {
  const token = jarvis.server.authorization?.replace('Basic ', '') ?? '';
  return Buffer.from(token, 'base64').toString().replace('opencode:', '');
}
