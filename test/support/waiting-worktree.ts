import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Worktree } from 'jarvis-opencode';
import type { RealJarvis } from './real-jarvis.js';
import { until } from './wait.js';

/**
 * Asks for a worktree that the server makes and never tells to be ready, because the configuration committed in it is
 * broken. Resolves when nothing but that event is waited for.
 */
export async function waitingWorktree({
  jarvis,
  repo,
}: RealJarvis): Promise<{ readonly creating: Promise<Worktree> }> {
  const { directory } = await repo({ files: { 'opencode.json': '{ "model": 7 }' } });
  await writeFile(join(directory, 'opencode.json'), '{}');
  const client = jarvis.forRepo(directory);
  const creating = client.worktrees.create();
  creating.catch(() => undefined);
  await until(async () => (await client.worktrees.list()).length > 0, { what: 'the worktree' });
  await until(() => client.stats().holds.length === 0, { what: 'the answer to its creation' });
  return { creating };
}
