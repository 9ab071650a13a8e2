import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';

/** A user id that nobody has, for processes that a test runs as another user. */
export const OTHER_USER = 54_321;

/** Whether this process may run others as {@link OTHER_USER}, and they may enter the temporary directory. */
export function hasOtherUser(): boolean {
  if (process.getuid?.() !== 0) return false;
  return (
    spawnSync('/bin/sh', ['-c', '[ -x "$1" ]', 'sh', tmpdir()], { cwd: '/', uid: OTHER_USER }).status === 0
  );
}
