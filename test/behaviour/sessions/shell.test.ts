import { setupServer } from 'msw/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RepoClient } from 'jarvis-opencode';
import { mockOpenCode } from 'jarvis-opencode/testing';

const mock = mockOpenCode({ shell: () => 'README.md\n' });
const network = setupServer(...mock.handlers);
let repo: RepoClient;

beforeAll(async () => {
  network.listen({ onUnhandledRequest: 'error' });
  repo = (await mock.client({ idle: false })).forRepo('/repos/app');
});
afterAll(async () => {
  await mock.close();
  network.close();
});

describe('session.shell()', () => {
  it.each([
    ['the text', 'ls'],
    ['an object without an agent', { command: 'ls' }],
    ['an object whose agent is undefined', { command: 'ls', agent: undefined }],
  ])('runs a command line given as %s in the name of the default agent', async (_what, input) => {
    const session = await repo.sessions.create();
    expect((await session.shell(input)).output).toBe('README.md\n');
    const [sent] = mock.requests().filter(({ path }) => path.endsWith(`/${session.id}/shell`));
    expect(sent?.body).toMatchObject({ agent: 'build', command: 'ls' });
  });

  it.each([[undefined], [7], [{}], [{ command: 'ls', agent: '' }], [{ command: 'ls', agnet: 'plan' }]])(
    'refuses %o',
    async (input) => {
      const session = await repo.sessions.create();
      await expect(session.shell(input as never)).rejects.toThrow(TypeError);
    },
  );
});
