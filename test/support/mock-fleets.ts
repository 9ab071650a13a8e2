import { mkdtempSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setupServer, type SetupServer } from 'msw/node';
import { mockFleet } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, onTestFinished } from 'vitest';

/** Answers the requests of a test file. Call it at the top of the file. */
export function requestsToMocks(): SetupServer {
  const msw = setupServer();
  beforeAll(() => msw.listen({ onUnhandledRequest: 'error' }));
  afterAll(() => msw.close());
  return msw;
}

/** Makes mocks of servers, and fleets of them, that end with the test. */
export function mocksIn(msw: SetupServer) {
  return <const M extends Parameters<typeof mockFleet>[0]>(given: M) => {
    const mocks = mockFleet(given);
    msw.use(...mocks.handlers);
    onTestFinished(() => mocks.close());
    return mocks;
  };
}

/** A git repository with a second working tree, as far as a client looks at them; gone with the test. */
export function repositoryWithWorktree(): {
  readonly root: string;
  readonly app: string;
  readonly worktree: string;
} {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'fleet-')));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const [app, worktree] = [join(root, 'app'), join(root, 'worktree')];
  const shared = join(app, '.git', 'worktrees', 'w');
  mkdirSync(shared, { recursive: true });
  writeFileSync(join(shared, 'commondir'), '../..\n');
  mkdirSync(worktree);
  writeFileSync(join(worktree, '.git'), `gitdir: ${shared}\n`);
  return { root, app, worktree };
}
