import { proseOf } from './links.js';
import type { Page } from './pages.js';

/** Where a path in prose may begin. */
const ROOTS = ['', 'src/', 'src/client/'];
const PATH = /^[\w.-]+(\/[\w.{},*-]+|\{[\w./,-]+\})+$/;

/** `a/{b,c/d}` as `a/b` and `a/c/d`. */
function expand(text: string): string[] {
  const [, before = '', inner, after = ''] = /^(.*?)\{([^{}]*)\}(.*)$/.exec(text) ?? [];
  if (inner === undefined) return [text];
  return inner.split(',').flatMap((each) => expand(`${before}${each}${after}`));
}

/**
 * The files and folders that a page names and that do not exist: `ARCHITECTURE.md:12 names app/x.ts, which does not exist`. A path
 * begins at the root, in `src/` or in `src/client/`, may leave out `.ts`, and `a/*` is the folder. Names without a folder are not checked.
 *
 * @param exists - is asked with paths from the root of the repository.
 */
export function checkSourceNames({ name, markdown }: Page, exists: (path: string) => boolean): string[] {
  const isThere = (path: string): boolean =>
    ROOTS.some((root) => exists(`${root}${path}`) || exists(`${root}${path}.ts`));
  return proseOf(markdown).flatMap((line, index) =>
    [...line.matchAll(/`([^`]+)`/g)]
      .map(([, span = '']) => span)
      .filter((span) => PATH.test(span))
      .flatMap(expand)
      .map((path) => path.replace(/\/\*?$/, ''))
      .filter((path) => !isThere(path))
      .map((path) => `${name}:${index + 1} names ${path}, which does not exist`),
  );
}
