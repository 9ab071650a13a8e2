import { join } from 'node:path';
import { homedir } from 'node:os';
import type { Finding } from '../../core/diagnosis.js';
import { programOnPath } from '../process/binary.js';
import { programOf } from '../process/shim.js';

/**
 * Looks for the programs that a server runs.
 *
 * @param env - the environment of the server.
 */
export function diagnosePrograms(env: NodeJS.ProcessEnv, platform = process.platform): Finding[] {
  return [gitFinding(env, platform), ripgrepFinding(env, platform)];
}

function gitFinding(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): Finding {
  const git = programOnPath('git', env, platform);
  if (git !== undefined) return { level: 'ok', check: 'git', summary: `git is ${git}.` };
  return {
    level: 'error',
    check: 'git',
    summary: 'There is no git on the PATH of the server: it works without snapshots, diffs and worktrees.',
    advice: 'Install git, or add its directory to PATH.',
  };
}

/** OpenCode 1.18.33 takes it from PATH, else from its cache, where it downloads it to when `grep`, `glob` or `repo.find` need it. */
function ripgrepFinding(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): Finding {
  const onPath = programOnPath('rg', env, platform);
  if (onPath !== undefined) return { level: 'ok', check: 'ripgrep', summary: `ripgrep is ${onPath}.` };
  const cache = env.XDG_CACHE_HOME ?? join(env.HOME ?? homedir(), '.cache');
  const cached = join(cache, 'opencode', 'bin', platform === 'win32' ? 'rg.exe' : 'rg');
  const program = programOf(cached, platform);
  if ('file' in program)
    return {
      level: 'ok',
      check: 'ripgrep',
      summary: `ripgrep is ${program.file}, which OpenCode downloaded.`,
    };
  return {
    level: 'warn',
    check: 'ripgrep',
    summary:
      'There is no ripgrep (rg) on the PATH of the server: OpenCode downloads it when it first searches.',
    advice: 'Install ripgrep where the server has no network.',
  };
}
