import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JarvisError, type RepoClient, type Session, type StoredMessage } from 'jarvis-opencode';
import { operationsOf, readDoc, type Operation } from '../../scripts/api-coverage/doc.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';

/** How many requests are tried beside one for each operation; more with `FUZZ_RUNS`. */
const REQUESTS = Number(process.env['FUZZ_RUNS'] ?? 60);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
/** Some operations wait for ever, or for the end of a turn. */
const REQUEST_LIMIT_MS = 500;

let world: RealJarvis;
let repo: RepoClient;
let neighbour: RepoClient;
let own: Session;
let foreign: Session;
/** Files of others, and what is told of the neighbour's session. */
let before: { readonly files: string; readonly messages: readonly StoredMessage[] };
let stranger: string;
let operations: readonly Operation[];
/** What is sent to the server: the path, and the directory it is pinned to. */
const sent: { readonly path: string; readonly directory: string | null }[] = [];

beforeAll(async () => {
  world = await realJarvis({
    idle: { idleTimeoutMs: 600_000 },
    fetch: (input, init) => {
      const url = new URL(input as string);
      const header = new Headers(init?.headers).get('x-opencode-directory');
      const directory = header ?? url.searchParams.get('directory');
      sent.push({
        path: url.pathname + url.search,
        directory: directory && decodeURIComponent(directory),
      });
      return fetch(input, init);
    },
  });
  repo = world.jarvis.forRepo((await world.repo()).directory);
  neighbour = world.jarvis.forRepo((await world.repo()).directory);
  stranger = (await world.repo()).directory;
  own = await repo.sessions.create();
  foreign = await neighbour.sessions.create();
  await foreign.prompt('secret');
  before = { files: await checksum(), messages: await foreign.messages() };
  await neighbour.dispose();
  operations = operationsOf(await readDoc(world.jarvis.server));
});
afterAll(() => world[Symbol.asyncDispose]());

/** Of all files of the neighbour and of the stranger. */
async function checksum(): Promise<string> {
  const hash = createHash('sha256');
  for (const directory of [neighbour.directory, stranger]) {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort()) hash.update(file).update(await readFile(file));
  }
  return hash.digest('hex');
}

/** One way to write a request, by numbers that a generator chooses. */
interface Spelling {
  readonly operation: number;
  readonly isForeign: boolean;
  readonly letters: readonly number[];
  readonly slashes: readonly number[];
  readonly query: number;
}

const spelling = fc.record<Spelling>({
  operation: fc.nat(),
  isForeign: fc.boolean(),
  letters: fc.array(fc.nat(5), { minLength: 8, maxLength: 40 }),
  slashes: fc.array(fc.nat(4), { minLength: 4, maxLength: 12 }),
  query: fc.nat(4),
});

/** Writes a path in one of the ways that OpenCode 1.18.33 takes, or nearly so. */
function spell(path: string, { letters, slashes }: Spelling): string {
  const pick = (choices: readonly number[], index: number): number => choices[index % choices.length] ?? 0;
  const written = [...path].map((letter, index) => {
    if (letter === '/') return ['/', '//', '/', '/./', '/x/../'][pick(slashes, index)] ?? '/';
    const choice = pick(letters, index);
    if (choice === 1) return letter.toUpperCase();
    return choice === 2 ? `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}` : letter;
  });
  return written.join('') + (['', '/', '//'][pick(slashes, 0)] ?? '');
}

function requestOf(spelled: Spelling): { readonly url: string; readonly init: RequestInit } {
  const operation = operations[spelled.operation % operations.length] as Operation;
  const [message] = before.messages;
  const ids: Readonly<Record<string, string>> = {
    sessionID: spelled.isForeign ? foreign.id : own.id,
    messageID: message?.info.id ?? '',
    partID: message?.parts[0]?.id ?? '',
    projectID: 'global',
  };
  const path = operation.path.replace(/\{([^}]+)\}/g, (_, name: string) => ids[name] ?? 'ses_none');
  const elsewhere = encodeURIComponent(neighbour.directory);
  const query = [
    '',
    `?directory=${elsewhere}`,
    `?directory=&directory=${elsewhere}&%64irectory=${elsewhere}`,
    `?location[directory]=${elsewhere}&workspace=wrk_1&scope=project`,
    `?Directory=${elsewhere}&path=.&pattern=secret&query=secret&auth_token=x`,
  ][spelled.query];
  const fields: Readonly<Record<string, unknown>> = {
    ...{ directory: stranger, cwd: neighbour.directory, sessionID: foreign.id, parentID: foreign.id },
    ...{ messageID: message?.info.id, workspaceID: 'wrk_1', command: 'true', args: [], agent: 'build' },
    ...{ parts: [{ type: 'text', text: 'hostile' }], noReply: true, title: 'hostile', arguments: '' },
    ...{ providerID: 'scripted', modelID: 'none', type: 'tui.session.select', text: 'hostile' },
    ...{ destination: { directory: stranger }, events: [], properties: { sessionID: foreign.id } },
  };
  const part = { ...ids, id: ids['partID'], sessionID: own.id, type: 'text', text: 'hostile' };
  const names = Object.keys(operation.body?.properties ?? {});
  const named = names.length > 0 ? Object.fromEntries(names.map((name) => [name, fields[name]])) : fields;
  const body = operation.path.endsWith('{partID}') ? part : named;
  const headers = { 'x-opencode-directory': elsewhere, 'x-opencode-workspace': 'wrk_1', authorization: 'x' };
  return {
    url: repo.baseUrl + spell(path, spelled) + (query ?? ''),
    init: {
      method: operation.method,
      headers: { ...headers, 'content-type': 'application/json' },
      ...(operation.method === 'GET' ? {} : { body: JSON.stringify(body) }),
    },
  };
}

/** Sends one request, and fails when anything of it has left the repository. */
async function check(spelled: Spelling): Promise<void> {
  // The one before may be deleted, or at work.
  own = await repo.sessions.create();
  const { url, init } = requestOf(spelled);
  sent.length = 0;
  try {
    const limit = AbortSignal.timeout(REQUEST_LIMIT_MS);
    const response = await repo.fetch(url, { ...init, signal: limit });
    const text = await response.text().catch(() => '');
    // The server repeats a body that it refuses.
    if (init.method === 'GET') expect(text).not.toContain(foreign.id);
    if (init.method === 'GET') expect(text).not.toContain(neighbour.directory);
    expect(response.headers.get('content-type') ?? '').not.toContain('text/html');
  } catch (error) {
    const isExpected = error instanceof JarvisError || (error as Error).name === 'TimeoutError';
    if (!isExpected) throw error;
  }
  for (const { path, directory } of sent) {
    // To ask whose a session or a message is loads no other instance.
    const isQuestion = /^\/session\/ses%5F/.test(path) || path.startsWith('/api/session?limit=');
    const isGlobal = /^\/(global|auth)\//.test(path) || path.startsWith('/api/session?limit=');
    if (!isGlobal) expect(directory).not.toBeNull();
    // The worktrees that were made of the repository are looked at before everything is disposed.
    expect([neighbour.directory, stranger]).not.toContain(directory);
    if (isQuestion) continue;
    for (const alien of [foreign.id, stranger, neighbour.directory]) expect(path).not.toContain(alien);
  }
  expect(neighbour.stats().loaded).toBe(false);
}

describe('whatever repo.fetch lets through, in any spelling of any operation', () => {
  it('answers every spelling of an operation for the repository only, and changes nothing outside of it', async () => {
    const plain: Spelling = { operation: 0, isForeign: false, letters: [0], slashes: [0], query: 1 };
    for (const [index, { path }] of operations.entries()) {
      await check({ ...plain, operation: index });
      if (path.includes('{sessionID}')) await check({ ...plain, operation: index, isForeign: true });
    }
    await fc.assert(fc.asyncProperty(spelling, check), {
      numRuns: REQUESTS,
      seed: SEED,
      endOnFailure: true,
    });
    expect(await checksum()).toBe(before.files);
    expect(await foreign.messages()).toEqual(before.messages);
  });
});
