import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** This directory and those above it, up to the root of the repository that it belongs to, or of the disk when there is none. */
export function levelsToProject(directory: string): string[] {
  const levels = [directory];
  for (let level = directory; !isProject(level) && dirname(level) !== level;) {
    level = dirname(level);
    levels.push(level);
  }
  return levels;
}

/** The root of the repository that a directory belongs to. */
export function projectOf(directory: string): string | undefined {
  return levelsToProject(directory).find(isProject);
}

function isProject(level: string): boolean {
  return existsSync(join(level, '.git'));
}
