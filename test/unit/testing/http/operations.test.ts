import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MOCKED_ROUTES } from '../../../../src/testing/mock-opencode.js';
import { OPENCODE_2_ROUTES } from '../../../../src/testing/opencode2/routes/all.js';
import { parseOperation } from '../../../../src/testing/http/operations.js';

const guide = readFileSync(new URL('../../../../docs/mock.md', import.meta.url), 'utf8');

describe('the operations of the mock', () => {
  it.each([
    ['OpenCode 1.x', 0, MOCKED_ROUTES],
    ['OpenCode 2', 1, OPENCODE_2_ROUTES],
  ] as const)('names the same operations of %s as the guide', (_major, index, routes) => {
    const blocks = [...guide.matchAll(/```text\n([^`]*)```/g)].map(([, block = '']) => block);
    const named = (blocks[index] ?? '')
      .trim()
      .split('\n')
      .flatMap((line) => {
        const [, methods = '', path = ''] = /^([A-Z, ]+) (\/\S*)$/.exec(line) ?? [];
        return methods.split(', ').map((method) => `${method} ${path}`);
      });
    const mocked = routes.map(({ method, pattern }) => `${method} ${templateOf(pattern)}`);
    expect(named.sort()).toEqual(mocked.sort());
    expect(new Set(mocked).size).toBe(mocked.length);
  });

  it.each(['GET', 'get /x', 'GET x', 'GET /x y', '', 'HEAD /x'])(
    'refuses %j as an operation',
    (operation) => {
      expect(() => parseOperation(operation)).toThrow(TypeError);
    },
  );
});

function templateOf(pattern: string): string {
  return pattern.replace(/:(\w+)/g, '{$1}');
}
