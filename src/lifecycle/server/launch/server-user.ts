import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { aNumber, anObject, assertOptions, type OptionChecks } from '../../../core/checks.js';
import { ServerStartError } from '../../../errors.js';
import { statOf } from '../../paths/stat-of.js';

/** Another user of this machine that the server runs as. */
export interface ServerUser {
  /** The id of the user. */
  readonly uid: number;
  /** The id of its group; the server is in no other group. */
  readonly gid: number;
  /** The home directory of the server. It is made for that user when it is missing. @default `home` in `dataDir` */
  readonly home?: string | undefined;
}

/** {@link ServerUser}, complete. */
export interface ParsedServerUser {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly dataDir: string;
}

const anID = aNumber(
  'an integer from 0 to 4294967294',
  (id) => Number.isInteger(id) && id >= 0 && id < 2 ** 32 - 1,
);

const userChecks: OptionChecks<ServerUser> = {
  uid: anID,
  gid: anID,
  home: (name, value) => {
    if (typeof value === 'string' && value.startsWith('/') && !value.includes('\0')) return;
    throw new TypeError(`Expected ${name} to be an absolute path, got ${JSON.stringify(value)}.`);
  },
};

/** Checks the option `user`. */
export function assertServerUser(name: string, value: unknown): void {
  anObject(name, value);
  assertOptions(name, userChecks, value, `${name}.`);
  const { uid, gid } = value as Partial<ServerUser>;
  anID(`${name}.uid`, uid);
  anID(`${name}.gid`, gid);
}

/**
 * Fills in the home directory.
 *
 * @throws {TypeError} without a `dataDir`, and on Windows.
 */
export function parseServerUser(
  user: ServerUser | undefined,
  dataDir: string | undefined,
  platform: NodeJS.Platform = process.platform,
): ParsedServerUser | undefined {
  if (user === undefined) return undefined;
  if (platform === 'win32') throw new TypeError('Expected user to be left out: Windows has no such users.');
  if (dataDir === undefined) {
    throw new TypeError(
      'Expected dataDir to be given with user: that user cannot write to the directories of this one.',
    );
  }
  const root = resolve(dataDir);
  return { uid: user.uid, gid: user.gid, home: user.home ?? join(root, 'home'), dataDir: root };
}

/** The variables that name the user to programs. A temporary directory of its own: OpenCode 1.18.33 makes `/tmp/opencode` for one user. */
export function userVariables({ uid, home, dataDir }: ParsedServerUser): Readonly<Record<string, string>> {
  const name = nameOf(uid);
  return { HOME: home, USER: name, LOGNAME: name, TMPDIR: join(dataDir, 'tmp') };
}

/** The name of a user; its id where the system has no name for it. */
function nameOf(uid: number): string {
  try {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((each) => each.split(':')[2] === String(uid));
    return line?.split(':')[0] || String(uid);
  } catch {
    return String(uid);
  }
}

/** Runs as that user. Says what is wrong in one line, `kind path`, and ends with 1. */
const CHECK_SCRIPT = `
umask 077
cwd=$1; program=$2; shift 2
for each; do
  mkdir -p -- "$each" 2>/dev/null && [ -w "$each" ] && [ -x "$each" ] || { echo "directory $each"; exit 1; }
done
[ -x "$cwd" ] || { echo "cwd $cwd"; exit 1; }
[ -x "$program" ] || { echo "program $program"; exit 1; }
`;

/**
 * Makes the directories of a server that runs as another user, and makes sure that it can use them. What is below `dataDir` and `home` is
 * made with the rights of that user, who could otherwise lead this process elsewhere by a link.
 *
 * @param server - `program` is what is started; `directories` are made below `dataDir`.
 * @throws {ServerStartError} without the privilege, and when that user cannot write, read or execute what it must.
 */
export function prepareUser(
  user: ParsedServerUser,
  server: { readonly cwd: string; readonly program: string; readonly directories: readonly string[] },
): void {
  const { uid, gid, home, dataDir } = user;
  const { cwd, program } = server;
  const failure = (message: string, cause?: unknown): ServerStartError =>
    new ServerStartError({ message, command: program }, cause === undefined ? undefined : { cause });
  for (const [what, directory] of [
    ['dataDir', dataDir],
    ['home', home],
  ] as const) {
    if (what === 'home' && home.startsWith(`${dataDir}/`)) continue;
    try {
      give(directory, user);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EPERM') throw noPrivilege(uid, failure, cause);
      throw failure(
        `The ${what} ${JSON.stringify(directory)} cannot be used for user ${uid}: ${(cause as Error).message}.`,
        cause,
      );
    }
  }
  const all = [home, ...server.directories];
  const { error, status, stdout } = spawnSync('/bin/sh', ['-c', CHECK_SCRIPT, 'sh', cwd, program, ...all], {
    cwd: '/',
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    encoding: 'utf8',
    uid,
    gid,
  });
  if (error !== undefined) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM') throw noPrivilege(uid, failure, error);
    throw failure(`Nothing could be started as user ${uid} (${error.message}).`, error);
  }
  if (status === 0) return;
  const [kind = '', path = ''] = /^(\w+) (.*)$/s.exec(stdout.trimEnd())?.slice(1) ?? [];
  const shown = JSON.stringify(path);
  if (kind === 'directory') {
    const which = path === home ? 'its home' : 'the dataDir';
    throw failure(
      `User ${uid} cannot make or write to ${shown} in ${which}. Check the owner of it, and that the directories above may be entered.`,
    );
  }
  throw failure(
    kind === 'cwd'
      ? `User ${uid} may not enter the cwd ${shown}. Name another one.`
      : `User ${uid} may not execute ${shown}. Install it where that user can read it, and name it as command.`,
  );
}

function noPrivilege(
  uid: number,
  failure: (message: string, cause: unknown) => ServerStartError,
  cause: unknown,
): ServerStartError {
  return failure(
    `This process may not start a server as user ${uid}: it runs as user ${process.geteuid?.()}, ` +
      'and needs to be root, or to have the capabilities CAP_SETUID, CAP_SETGID, CAP_CHOWN and CAP_KILL.',
    cause,
  );
}

/** Makes a directory for that user alone, or takes the one that is there: one of that user, or an empty one of this process. */
function give(directory: string, { uid, gid }: Pick<ParsedServerUser, 'uid' | 'gid'>): void {
  const stat = statOf(directory);
  if (stat === undefined) {
    makeParent(dirname(directory));
    mkdirSync(directory, { mode: 0o700 });
  } else {
    if (!stat.isDirectory()) throw new Error('it is not a directory');
    if (stat.uid === uid) return;
    if (stat.uid !== process.geteuid?.() || readdirSync(directory).length > 0) {
      throw new Error(
        `it belongs to user ${stat.uid}. Give it to that user with all it has, or name another one`,
      );
    }
  }
  const real = realpathSync(directory);
  if (!lstatSync(real).isDirectory()) throw new Error('it is not a directory');
  chownSync(real, uid, gid);
  chmodSync(real, 0o700);
}

/** Makes what is missing above, for this process, so that others may pass and not look. */
function makeParent(directory: string): void {
  if (statOf(directory) !== undefined) return;
  makeParent(dirname(directory));
  mkdirSync(directory, { mode: 0o711 });
}
