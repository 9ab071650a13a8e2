import { posix } from 'node:path';
import type { Page } from './pages.js';

export interface Link {
  readonly target: string;
  /** Line of the markdown file, from 1. */
  readonly line: number;
}

/** The lines of a markdown text; those of code blocks are empty. */
export function proseOf(markdown: string): string[] {
  let fence: string | undefined;
  return markdown.split(/\r?\n/).map((line) => {
    const [, mark = '', info = ''] = /^\s*(`{3,}|~{3,})\s*(.*)$/.exec(line) ?? [];
    if (fence === undefined) {
      if (mark) fence = mark;
      return mark ? '' : line;
    }
    if (mark.startsWith(fence) && info === '') fence = undefined;
    return '';
  });
}

/** Where the links and pictures of a markdown text lead; code has none. */
export function linksOf(markdown: string): Link[] {
  return proseOf(markdown).flatMap((line, index) => {
    const text = line.replace(/(`+)(?:(?!\1).)+\1/g, 'code');
    const inline = [...text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)];
    const html = [...text.matchAll(/\b(?:href|src|srcset)="([^"]+)"/g)];
    const defined = [...text.matchAll(/^\s{0,3}\[[^\]]+\]:\s+(\S+)/g)];
    return [...inline, ...html, ...defined].map(([, target = '']) => ({ target, line: index + 1 }));
  });
}

/** The anchors that a forge gives to the headings of a markdown text. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const line of proseOf(markdown)) {
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

/**
 * The relative links of the pages that lead nowhere: `README.md:12 links to docs/x.md, which does not exist`. `isFile` is asked for what
 * is no page. Every guide must be reached from the README, directly or through another guide.
 */
export function checkLinks(pages: readonly Page[], isFile: (path: string) => boolean): string[] {
  const byName = new Map(pages.map((page) => [page.name, page]));
  const errors: string[] = [];
  const next = new Map<string, Set<string>>();
  for (const { name, markdown } of pages) {
    const followed = new Set<string>();
    next.set(name, followed);
    for (const { target, line } of linksOf(markdown)) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? name : posix.join(posix.dirname(name), decodeURIComponent(path));
      const page = byName.get(file);
      if (page === undefined) {
        if (!isFile(file)) errors.push(`${name}:${line} links to ${target}, which does not exist`);
        else if (anchor) errors.push(`${name}:${line} links to ${target}, which is no page with anchors`);
        continue;
      }
      followed.add(file);
      if (anchor !== undefined && !anchorsOf(page.markdown).has(anchor)) {
        errors.push(`${name}:${line} links to ${target}, but ${file} has no such heading`);
      }
    }
  }
  const reached = new Set(['README.md']);
  for (const name of reached) for (const file of next.get(name) ?? []) reached.add(file);
  for (const { name } of pages) {
    if (name.startsWith('docs/') && !reached.has(name)) errors.push(`${name} is not reached from the README`);
  }
  return errors;
}
