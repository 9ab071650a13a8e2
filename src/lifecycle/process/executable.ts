import { accessSync, constants, lstatSync, statSync } from 'node:fs';

/** What {@link faultOf} says of a file that is not there. */
export const NOT_THERE = 'does not exist';

/** Why a file cannot be executed, in words that follow its name; `undefined` when it can. */
export function faultOf(file: string): string | undefined {
  try {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) {
      const isLink = lstatSync(file, { throwIfNoEntry: false }) !== undefined;
      return isLink ? 'is a link to a file that does not exist' : NOT_THERE;
    }
    if (stat.isDirectory()) return 'is a directory';
    if (!stat.isFile()) return 'is not a regular file';
    accessSync(file, constants.X_OK);
    return undefined;
  } catch (error) {
    return `may not be executed by this user (${(error as NodeJS.ErrnoException).code})`;
  }
}
