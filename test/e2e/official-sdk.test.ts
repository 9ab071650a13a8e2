import { createOpencodeClient as createV1 } from '@opencode-ai/sdk/client';
import { createOpencodeClient as createV2 } from '@opencode-ai/sdk/v2/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SessionDirectoryError, type RepoClient } from 'jarvis-opencode';
import { waitFor } from '../../src/testing/script/steps.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text } from '../support/model-steps.js';
import { deferred } from '../support/wait.js';

// A name the official SDK alone gets wrong: it sends its GETs and its POSTs to different directories.
const NAME = `a b%20ü日#?+'`;

let world: RealJarvis;
let repo: RepoClient;

beforeAll(async () => {
  world = await realJarvis({ idle: { idleTimeoutMs: 600_000 } });
  repo = world.jarvis.forRepo((await world.repo({ name: NAME })).directory);
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => world.model.use(({ prompt }) => [text(`re: ${prompt}`)]));

describe('the official SDK through repo.fetch', () => {
  it('creates, lists, reads and prompts in the repository, whatever directory the SDK was made for (v2)', async () => {
    const sdk = createV2({ baseUrl: repo.baseUrl, fetch: repo.fetch, directory: '/somewhere/else' });
    const created = await sdk.session.create({ title: 'from v2' });
    expect(created.data?.directory).toBe(repo.directory);
    const sessionID = created.data?.id ?? '';
    const listed = await sdk.session.list();
    expect(listed.data?.map((session) => session.id)).toContain(sessionID);
    expect((await repo.sessions.list()).map((session) => session.id)).toContain(sessionID);
    expect((await sdk.path.get()).data?.directory).toBe(repo.directory);
    const answer = await sdk.session.prompt({ sessionID, parts: [{ type: 'text', text: 'hello' }] });
    expect(answer.data?.parts.find((part) => part.type === 'text')).toMatchObject({ text: 're: hello' });
    expect((await sdk.session.messages({ sessionID })).data).toHaveLength(2);
    const missing = await sdk.session.get({ sessionID: 'ses_missing' });
    expect(missing.error).toMatchObject({ name: 'NotFoundError' });
  });

  it('creates, lists, reads and prompts in the repository with the first version of the SDK', async () => {
    const sdk = createV1({ baseUrl: repo.baseUrl, fetch: repo.fetch });
    const created = await sdk.session.create({ body: { title: 'from v1' } });
    expect(created.data?.directory).toBe(repo.directory);
    const answer = await sdk.session.prompt({
      path: { id: created.data?.id ?? '' },
      body: { parts: [{ type: 'text', text: 'hi' }] },
    });
    expect(answer.data?.parts.find((part) => part.type === 'text')).toMatchObject({ text: 're: hi' });
  });

  it('holds the instance while a call of the SDK is under way, so that nothing disposes it', async () => {
    const gate = deferred();
    world.model.use(() => [waitFor(gate.promise), text('unharmed')]);
    const sdk = createV2({ baseUrl: repo.baseUrl, fetch: repo.fetch });
    const sessionID = (await sdk.session.create({})).data?.id ?? '';
    const prompting = sdk.session.prompt({ sessionID, parts: [{ type: 'text', text: 'x' }] });
    await world.model.waitForRequest((request) => request.prompt === 'x');
    expect(repo.stats().holds).toContainEqual(
      expect.objectContaining({ kind: 'request', detail: `POST /session/${sessionID}/message` }),
    );
    const refused = await sdk.instance.dispose();
    expect(refused.response?.status).toBe(409);
    gate.resolve();
    expect((await prompting).data?.parts.find((part) => part.type === 'text')).toMatchObject({
      text: 'unharmed',
    });
    await vi.waitFor(() => expect(repo.stats().holds).toEqual([]), { timeout: 20_000 });
    expect((await sdk.instance.dispose()).data).toBe(true);
    expect(repo.stats().loaded).toBe(false);
  });

  it('streams only the events of the repository to the SDK; the stream outlives a disposal and loads nothing', async () => {
    await repo.dispose();
    const other = world.jarvis.forRepo((await world.repo()).directory);
    const sdk = createV2({ baseUrl: repo.baseUrl, fetch: repo.fetch });
    const controller = new AbortController();
    const { stream } = await sdk.event.subscribe({}, { signal: controller.signal });
    const types: string[] = [];
    const directories = new Set<unknown>();
    const reading = (async () => {
      for await (const event of stream) {
        types.push(event.type);
        if (event.type === 'session.created') directories.add(event.properties.info.directory);
        if (types.filter((type) => type === 'session.created').length === 2) break;
      }
    })();
    expect(repo.stats().loaded).toBe(false);
    await vi.waitFor(() => expect(types).toEqual(['server.connected']), { timeout: 20_000 });
    await other.sessions.create();
    await repo.sessions.create();
    await repo.dispose();
    await repo.sessions.create();
    await reading;
    controller.abort();
    expect([...directories]).toEqual([repo.directory]);
    expect(types).toContain('server.instance.disposed');
  });

  it('refuses the SDK any session of another repository and every URL but that of the repository', async () => {
    const other = world.jarvis.forRepo((await world.repo()).directory);
    const session = await other.sessions.create();
    await expect(repo.fetch(`${repo.baseUrl}/session/${session.id}`)).rejects.toBeInstanceOf(
      SessionDirectoryError,
    );
    await expect(repo.fetch('http://127.0.0.1:1/session')).rejects.toThrow(TypeError);
    const aborted = repo.fetch(`${repo.baseUrl}/session`, { signal: AbortSignal.abort('no') });
    await expect(aborted).rejects.toBe('no');
  });
});
