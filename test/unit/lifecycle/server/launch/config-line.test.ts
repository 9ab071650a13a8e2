import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { configLine } from '../../../../../src/lifecycle/server/launch/config-line.js';

const root = mkdtempSync(join(tmpdir(), 'config-line-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function lineIn(name: string, text: string, data: object): number | undefined {
  const path = join(root, name);
  writeFileSync(path, text);
  return configLine({ name: 'ConfigInvalidError', data: { path, ...data } });
}

const issue = (...path: (string | number)[]): object => ({ issues: [{ path, message: 'Expected x' }] });

describe('configLine()', () => {
  it.each([
    [['mcp'], '{ "mcp": 5 }', 1],
    [['mcp'], '{\n  // "mcp": 1\n  "a": { "mcp": [2, "}"] },\n  /* { */ "mcp": 5,\n}', 4],
    [['agent', 'x', 'mode'], '{"agent": {\n"y": {"mode": 1},\n"x": {\n"mode": "no"}}}', 4],
    [['instructions', 1], '{"instructions": ["a",\n5]}', 2],
    [['mcp', 'a', 'enabled'], '{\n"mcp": {\n"a": {}}}', 3],
    [[], '\n[]', 2],
    [['a"b'], '{ "x": "\\"",\n"a\\"b": 1 }', 2],
  ])('finds the line of the value of %j', (path, text, line) => {
    expect(lineIn('opencode.json', text, issue(...path))).toBe(line);
  });

  it('finds the line of a key in the front matter of an agent', () => {
    expect(
      lineIn('x.md', '---\ndescription: a\ntemperature: hot\n---\ntemperature: x', issue('temperature')),
    ).toBe(3);
  });

  it('finds the line of the key and of the reference that a message names', () => {
    const message = 'SchemaError: Expected boolean | undefined, got 7\n  at ["subtask"]';
    expect(lineIn('y.md', '---\nsubtask: 7\n---\nhi', { message })).toBe(2);
    const reference = 'bad file reference: "{file:./missing.txt}" /x/missing.txt does not exist';
    expect(lineIn('opencode.jsonc', '{\n\n"username": "{file:./missing.txt}"}', { message: reference })).toBe(
      3,
    );
  });

  it.each(['', '{', '{ "mcp"', '{ "mcp" 5 }', '}{', '"', '/*', '{,,,}', '[[[['])(
    'ends the search for a line in %j',
    (text) => {
      expect([undefined, 1]).toContain(lineIn('opencode.json', text, issue('mcp')));
    },
  );

  it('returns no line for a file that does not exist, and for another body', () => {
    expect(configLine({ data: { path: join(root, 'none'), ...issue('mcp') } })).toBeUndefined();
    for (const body of [undefined, 'text', { data: {} }, { data: { path: 5 } }])
      expect(configLine(body)).toBeUndefined();
  });
});
