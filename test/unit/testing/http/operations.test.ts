import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MOCKED_ROUTES } from '../../../../src/testing/mock-opencode.js';
import { parseOperation } from '../../../../src/testing/http/operations.js';

const guide = readFileSync(new URL('../../../../docs/mock.md', import.meta.url), 'utf8');

describe('the operations of the mock', () => {
  it('names the same operations of the mock as the guide', () => {
    const block = /```text\n([^`]*)```/.exec(guide)?.[1] ?? '';
    const named = block
      .trim()
      .split('\n')
      .flatMap((line) => {
        const [, methods = '', path = ''] = /^([A-Z, ]+) (\/\S*)$/.exec(line) ?? [];
        return methods.split(', ').map((method) => `${method} ${path}`);
      });
    const mocked = MOCKED_ROUTES.map(({ method, pattern }) => `${method} ${templateOf(pattern)}`);
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
