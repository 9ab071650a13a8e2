import { statSync, type Stats } from 'node:fs';

/** What the system says of a path, links followed; `undefined` when it is missing, below a file, or not to be reached. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
