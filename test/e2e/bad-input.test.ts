import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TurnError, type RepoClient, type Session } from 'jarvis-opencode';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text } from '../support/model-steps.js';

let world: RealJarvis;
let repo: RepoClient;

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  repo = world.jarvis.forRepo((await world.repo()).directory);
  world.model.use(({ prompt }) => [text(`${prompt.length} characters`)]);
});
afterAll(() => world[Symbol.asyncDispose]());

/** The text of a session's first message. */
async function firstText(session: Session): Promise<string | undefined> {
  const [first] = await session.messages();
  const part = first?.parts.find((candidate) => candidate.type === 'text');
  return part?.type === 'text' ? part.text : undefined;
}

describe('a prompt of 10 MB', () => {
  it('sends a prompt of 10 MB to the model and reads it back whole', async () => {
    const prompt = `${'0123456789ü日🦊\n'.repeat(650_000)}the end`;
    expect(new TextEncoder().encode(prompt).byteLength).toBeGreaterThan(10 * 1024 * 1024);
    const session = await repo.sessions.create();
    const result = await session.prompt(prompt);
    expect(result.text).toBe(`${prompt.length} characters`);
    expect((await firstText(session)) === prompt).toBe(true);
  });
});

describe('a file part the server can make nothing of', () => {
  it.each([
    ['an image that is not there', 'image/png', 'file:///does/not/exist.png'],
    ['an image on the web', 'image/png', 'http://127.0.0.1:9/x.png'],
    ['an image that is none', 'image/png', 'data:image/png;base64,@@@'],
    ['an image without data', 'image/png', 'data:'],
  ])('fails the turn with the error of the server: %s', async (_what, mime, url) => {
    const session = await repo.sessions.create();
    const parts = [{ type: 'text', text: 'Look:' } as const, { type: 'file', mime, url } as const];
    const error = await session.prompt({ parts }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TurnError);
    expect(error).toMatchObject({ reason: 'failed', sessionID: session.id });
    expect((error as Error).message).toMatch(/NotFound|Image/);
  });

  it('tells the model that a text file is missing, and goes on', async () => {
    const session = await repo.sessions.create();
    const file = { type: 'file', mime: 'text/plain', url: 'file:///does/not/exist.txt' } as const;
    await session.prompt({ parts: [{ type: 'text', text: 'Read:' }, file] });
    const [first] = await session.messages();
    expect(JSON.stringify(first?.parts)).toMatch(/not.?found|ENOENT|no such file/i);
  });
});
