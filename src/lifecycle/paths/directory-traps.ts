import { spawnSync } from 'node:child_process';
import { lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { RepoPathError } from '../../errors.js';
import type { Logger } from '../../core/logger.js';
import { projectOf } from './project.js';
import { projectConfigFiles } from './project-plugins.js';

/** How long git may take to answer. */
const GIT_LIMIT_MS = 5_000;

/** What is known of a server that works in the directories. */
export interface DirectoryTrapsInit {
  /** The environment of the server. */
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly pid: number | undefined;
  /** The user that it runs as. @default that of `pid`, else of this process */
  readonly uid?: number | undefined;
  /** Whether the data directory is one of this server's own, not the one of the user. */
  readonly ownsData: boolean;
  /** What the configuration of the server says of snapshots, which wins; `undefined` leaves it to the repository. */
  readonly snapshot: boolean | undefined;
  /** Whether the server reads the configuration of a repository. */
  readonly trustsProjects: boolean;
  readonly logger: Logger;
}

/** Finds directories that a server of ours takes without a word and then cannot work in (OpenCode 1.18.33, measured). */
export class DirectoryTraps {
  readonly #init: DirectoryTrapsInit;
  readonly #env: NodeJS.ProcessEnv;
  readonly #uid: number | undefined;

  constructor(init: DirectoryTrapsInit) {
    this.#init = init;
    const { OPENCODE_SERVER_PASSWORD: _, OPENCODE_CONFIG_CONTENT: __, ...env } = init.env;
    this.#env = { ...env, LC_ALL: 'C' };
    this.#uid = init.uid ?? uidOf(init.pid);
  }

  /**
   * Looks for the traps of a directory.
   *
   * @param directory - canonical.
   * @throws {RepoPathError} with reason `unreadable`, `owner` or `data-directory`.
   */
  check(directory: string): void {
    if (this.#isHidden(directory)) throw new RepoPathError(directory, 'unreadable');
    const project = projectOf(directory);
    if (project === undefined) return;
    if (this.#isOfAnotherUser(project)) throw new RepoPathError(directory, 'owner');
    const data = this.#dataWithin(directory);
    if (data === undefined) return;
    if (this.#init.ownsData) throw new RepoPathError(directory, 'data-directory');
    this.#init.logger.warn(
      "repository contains OpenCode's data directory: its snapshots take in themselves and grow with every turn. " +
        'Let git ignore the data directory, start with a dataDir elsewhere, or set snapshot to false in the config',
      { directory, dataDirectory: data },
    );
  }

  /** Whether the server, which runs as another user than this process, may not read a directory: it answers 500 to all requests there. */
  #isHidden(directory: string): boolean {
    const uid = this.#uid;
    if (uid === undefined || uid === process.geteuid?.()) return false;
    const { status } = spawnSync('/bin/sh', ['-c', '[ -r "$1" ] && [ -x "$1" ]', 'sh', directory], {
      cwd: '/',
      uid,
    });
    return status === 1;
  }

  /**
   * Git does not read a repository whose owner is another user, unless `safe.directory` names it, and OpenCode takes it for no
   * repository then. Git itself is asked only when the owner is another one.
   */
  #isOfAnotherUser(project: string): boolean {
    if (this.#uid === undefined) return false;
    const owners = [project, join(project, '.git')].map((path) => lstatSync(path, { throwIfNoEntry: false }));
    if (owners.every((stat) => stat === undefined || stat.uid === this.#uid)) return false;
    return this.#git(project, ['rev-parse', '--git-dir']).stderr.includes('dubious ownership');
  }

  /**
   * The data directory, if a snapshot of the directory would take it in. A snapshot of OpenCode 1.18.33 has what is below the
   * directory itself, also when that is a part of a repository, and leaves out what git ignores and repositories within.
   */
  #dataWithin(directory: string): string | undefined {
    if (this.#init.snapshot === false) return undefined;
    const data = realOf(dataDirectory(this.#env, this.#init.cwd));
    if (
      data === undefined ||
      !`${data}${sep}`.startsWith(directory.endsWith(sep) ? directory : directory + sep)
    )
      return undefined;
    if (!this.#takesSnapshots(directory)) return undefined;
    const args = ['ls-files', '--others', '--exclude-standard', '--directory', '--', `:(literal)${data}`];
    return this.#git(directory, args).stdout === '' ? undefined : data;
  }

  /** Whether the server does where its own configuration leaves it to the repository. Several files that disagree count as yes. */
  #takesSnapshots(directory: string): boolean {
    const { snapshot, trustsProjects } = this.#init;
    if (snapshot !== undefined || !trustsProjects) return true;
    const said = projectConfigFiles(directory).map(snapshotIn);
    return said.includes(true) || !said.includes(false);
  }

  #git(directory: string, args: readonly string[]): { readonly stdout: string; readonly stderr: string } {
    const uid = this.#uid === process.geteuid?.() ? undefined : this.#uid;
    const { stdout, stderr } = spawnSync('git', ['-c', 'core.fsmonitor=false', ...args], {
      cwd: directory,
      env: this.#env,
      encoding: 'utf8',
      timeout: GIT_LIMIT_MS,
      windowsHide: true,
      ...(uid !== undefined && { uid }),
    });
    // Without git the server takes nothing for a repository.
    return { stdout: stdout ?? '', stderr: stderr ?? '' };
  }
}

/** Where a server with this environment keeps its sessions, snapshots and worktrees. */
export function dataDirectory(env: NodeJS.ProcessEnv, cwd: string): string {
  const home = env.XDG_DATA_HOME || join(env.HOME || homedir(), '.local', 'share');
  return resolve(cwd, home, 'opencode');
}

/** The user that a process runs as. */
function uidOf(pid: number | undefined): number | undefined {
  const ofProcess = pid === undefined ? undefined : statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
  return ofProcess ?? process.geteuid?.();
}

/** What a configuration file says of snapshots; `undefined` when it is not there, does not say, or cannot be read. */
function snapshotIn(file: string): boolean | undefined {
  try {
    const config: unknown = JSON.parse(withoutComments(readFileSync(file, 'utf8')));
    const said =
      typeof config === 'object' && config !== null && 'snapshot' in config ? config.snapshot : undefined;
    return typeof said === 'boolean' ? said : undefined;
  } catch {
    return undefined;
  }
}

/** JSON as it is read by programs that allow for comments and for commas before an end. */
function withoutComments(text: string): string {
  const plain = text.replace(/("(?:[^"\\]|\\[\s\S])*(?:"|\\?$))|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g, '$1');
  return plain.replace(/("(?:[^"\\]|\\[\s\S])*(?:"|\\?$))|,(?=\s*[}\]])/g, '$1');
}

function realOf(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}
