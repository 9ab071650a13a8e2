import { describe, expect, it } from 'vitest';
import { blocksOf, checkMarkdown } from '../../scripts/check-readme.js';

const fence = '```';

describe('the README check', () => {
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
    const { blocks, errors } = checkMarkdown('README.md', markdown);
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
    const { errors } = checkMarkdown('README.md', markdown);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/^README\.md:4:8 TS2339 .*noSuchMethod/);
  });

  it('finds no block in a text without one', () => {
    expect(checkMarkdown('README.md', '# Only words').blocks).toBe(0);
  });
});
