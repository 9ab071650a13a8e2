import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as library from 'jarvis-opencode';
import { describe, expect, it } from 'vitest';
import { blocksOf, checkBlocks } from '../../scripts/docs/blocks.js';
import { anchorsOf, checkLinks, linksOf } from '../../scripts/docs/links.js';
import { checkSizes, readPages } from '../../scripts/docs/pages.js';
import { checkSourceNames } from '../../scripts/docs/source-names.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fence = '```';

describe('the check of the code blocks', () => {
  it('takes the ts blocks, with the line they start on, and no others', () => {
    const markdown = [
      '# Title', // 1
      `${fence}ts`, // 2
      'const a = 1;', // 3
      fence, // 4
      `${fence}ts no-check`, // 5
      'nonsense here', // 6
      fence, // 7
      `${fence}sh`, // 8
      'npm ci', // 9
      fence, // 10
      `- ${'item'}`, // 11
      `  ${fence}ts`, // 12
      '  if (a) {', // 13
      '    b();', // 14
      '  }', // 15
      `  ${fence}`, // 16
    ].join('\n');
    expect(blocksOf(markdown)).toEqual([
      { code: 'const a = 1;', line: 3 },
      { code: 'if (a) {\n  b();\n}', line: 13 },
    ]);
  });

  it('reports an error on its line in the markdown, with the strictness of the repository', () => {
    const markdown = [
      'Text',
      '',
      `${fence}ts`,
      `const list: string[] = [];`,
      `const first: string = list[0];`,
      `export {};`,
      fence,
    ].join('\n');
    const { blocks, errors } = checkBlocks([{ name: 'README.md', markdown }]);
    expect(blocks).toBe(1);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/^README\.md:5:7 TS2322 /);
  });

  it("resolves 'jarvis-opencode' and allows top-level await", () => {
    const markdown = [
      `${fence}ts`,
      `import { JarvisOpenCode } from 'jarvis-opencode';`,
      `const client: JarvisOpenCode = await JarvisOpenCode.start();`,
      `client.noSuchMethod();`,
      fence,
    ].join('\n');
    const { errors } = checkBlocks([{ name: 'README.md', markdown }]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/^README\.md:4:8 TS2339 .*noSuchMethod/);
  });

  it('finds no block in a text without one', () => {
    expect(checkBlocks([{ name: 'README.md', markdown: '# Only words' }]).blocks).toBe(0);
  });

  it('names the page of an error when it checks several', () => {
    const block = (code: string): string => [`${fence}ts`, code, fence].join('\n');
    const pages = [
      { name: 'README.md', markdown: block('export const a = 1;') },
      { name: 'docs/a.md', markdown: block('export const a: string = 1;') },
    ];
    const { blocks, errors } = checkBlocks(pages);
    expect(blocks).toBe(2);
    expect(errors).toEqual([expect.stringMatching(/^docs\/a\.md:2:14 TS2322 /)]);
  });
});

describe('the check of the links', () => {
  it('takes links and pictures with their line, and nothing of code', () => {
    const markdown = [
      '[a](docs/a.md) and ![b](b.svg "title")', // 1
      '`[no](no.md)`', // 2
      `${fence}text`, // 3
      '[no](no.md)', // 4
      fence, // 5
      '<source srcset="c.svg"><img src="d.svg"> [`e`](#e)', // 6
      '[f]: docs/f.md', // 7
    ].join('\n');
    expect(linksOf(markdown)).toEqual([
      { target: 'docs/a.md', line: 1 },
      { target: 'b.svg', line: 1 },
      { target: '#e', line: 6 },
      { target: 'c.svg', line: 6 },
      { target: 'd.svg', line: 6 },
      { target: 'docs/f.md', line: 7 },
    ]);
  });

  it('makes the anchors of a forge', () => {
    const markdown = '# One, `two`: three?\n## A [b](c.md)\n## A b\n```sh\n# no heading\n```\n';
    expect([...anchorsOf(markdown)]).toEqual(['one-two-three', 'a-b', 'a-b-1']);
  });

  it('reports files and headings that are missing, and guides that nobody links to', () => {
    const pages = [
      {
        name: 'README.md',
        markdown: '[a](docs/a.md#here) [b](docs/b.md) [c](LICENSE) [d](https://example.com/x)',
      },
      { name: 'docs/a.md', markdown: '# Here\n\n[up](../README.md#nowhere) [self](#here)' },
      { name: 'docs/lost.md', markdown: '# Lost' },
    ];
    expect(checkLinks(pages, (path) => path === 'LICENSE')).toEqual([
      'README.md:1 links to docs/b.md, which does not exist',
      'docs/a.md:3 links to ../README.md#nowhere, but README.md has no such heading',
      'docs/lost.md is not reached from the README',
    ]);
  });
});

describe('the check of the names of source files', () => {
  it('reports the files and folders that do not exist, also those of a list in braces', () => {
    const files = [
      'src/app/x.ts',
      'src/client/turns',
      'src/client/turns/a.ts',
      'src/client/turns/b/c.ts',
      'test',
    ];
    const markdown = [
      '`app/x.ts` asks `turns/{a,b/c}` and `client/turns/*`, `npm run x` and `GET /session`', // 1
      '`turns/{a,d}` and `app/y.ts`', // 2
      fence, // 3
      '`app/z.ts`', // 4
      fence, // 5
    ].join('\n');
    expect(checkSourceNames({ name: 'A.md', markdown }, (path) => files.includes(path))).toEqual([
      'A.md:2 names turns/d, which does not exist',
      'A.md:2 names app/y.ts, which does not exist',
    ]);
  });
});

describe('the sizes of the pages', () => {
  it('are held to 16 kB for the README and 8 kB for a guide', () => {
    const pages = ['README.md', 'docs/a.md', 'CHANGELOG.md'].map((name) => ({
      name,
      markdown: 'x'.repeat(16_001),
    }));
    expect(checkSizes(pages)).toEqual([
      'README.md has 16001 bytes, at most 16000 are allowed',
      'docs/a.md has 16001 bytes, at most 8000 are allowed',
    ]);
  });

  it('are within the limits in this repository', () => {
    const pages = readPages();
    expect(pages.map(({ name }) => name)).toEqual(expect.arrayContaining(['README.md', 'docs/README.md']));
    expect(checkSizes(pages)).toEqual([]);
  });
});

describe('the guides', () => {
  const pages = readPages();

  it('name only files that exist', () => {
    const missing = pages.flatMap(({ name, markdown }) =>
      [...markdown.matchAll(/`((?:bench|examples|scripts|src|test)\/[\w./-]+\.\w+)`/g)]
        .map(([, path = '']) => path)
        .filter((path) => !existsSync(join(root, path)))
        .map((path) => `${name} names ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('name only scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
    const missing = pages.flatMap(({ name, markdown }) =>
      [...markdown.matchAll(/`npm run ([\w:]*\w)(?![\w:*])[^`]*`/g)]
        .map(([, script = '']) => script)
        .filter((script) => !Object.hasOwn(scripts, script))
        .map((script) => `${name} names npm run ${script}`),
    );
    expect(missing).toEqual([]);
  });

  it('have a heading for each error with its code', () => {
    const guide = pages.find(({ name }) => name === 'docs/errors.md')?.markdown ?? '';
    const classes = Object.entries(library).filter(
      ([name, value]) =>
        /^[A-Z]\w*Error$/.test(name) && name !== 'JarvisError' && typeof value === 'function',
    );
    expect(classes.length).toBeGreaterThan(15);
    const headings = [...guide.matchAll(/^##+ (\w+Error)\n\n`[A-Z_]+`/gm)].map(([, name]) => name);
    expect(headings.sort()).toEqual(classes.map(([name]) => name).sort());
  });
});
