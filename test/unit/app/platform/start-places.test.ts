import { compileFunction } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Logger } from 'jarvis-opencode';
import { recordStart } from '../../../../src/app/platform/start-places.js';

interface Started {
  readonly end: () => void;
  readonly warnings: string[];
}

/** Starts from a module of this name, whose text has so many lines above the call. */
function startFrom(module: string, options: object = {}, lines = 0): Started {
  const warnings: string[] = [];
  const ignore = (): void => undefined;
  const logger: Logger = {
    debug: ignore,
    info: ignore,
    warn: (line) => void warnings.push(line),
    error: ignore,
  };
  const starter = { start: () => recordStart(starter, { logger, ...options }) };
  const code = `${'\n'.repeat(lines)}return starter.start();`;
  const run = compileFunction(code, ['starter'], { filename: module }) as (
    from: typeof starter,
  ) => () => void;
  return { end: run(starter), warnings };
}

describe('recordStart', () => {
  it.each([
    ['/srv/app/server.js', '/srv/app/server.js'],
    ['file:///srv/my%20app/server.js?t=1700000000', 'file:///srv/my%20app/server.js'],
    ['/srv/my app (1)/server.js', '/srv/my app (1)/server.js'],
    ['webpack-internal:///(rsc)/./app/jarvis.ts', 'webpack-internal:///(rsc)/./app/jarvis.ts'],
    ['C:\\srv\\server.js', 'C:\\srv\\server.js'],
  ])('warns of the second start from %s, also after an edit moved the line', (module, file) => {
    const first = startFrom(module);
    const second = startFrom(module, {}, 5);
    expect(first.warnings).toEqual([]);
    expect(second.warnings).toHaveLength(1);
    expect(second.warnings[0]?.startsWith(`${file}:`)).toBe(true);
    first.end();
    second.end();
  });

  it('recognises a module by its name without the query', () => {
    const first = startFrom('/srv/hot.js?t=1');
    const second = startFrom('/srv/hot.js?t=2');
    const third = startFrom('/srv/hot.js?t=3');
    expect(second.warnings[0]).toContain('while 1 from the same place still runs');
    expect(third.warnings[0]).toContain('while 2 from the same place still run.');
    for (const { end } of [first, second, third]) end();
  });

  it('does not warn for another file, for other options, or when the first one ended', () => {
    const first = startFrom('/srv/one.js', { port: 1 });
    const others = [startFrom('/srv/two.js', { port: 1 }), startFrom('/srv/one.js', { port: 2 })];
    first.end();
    others.push(startFrom('/srv/one.js', { port: 1 }));
    expect(others.flatMap(({ warnings }) => warnings)).toEqual([]);
    for (const { end } of others) end();
  });

  it('warns at the end of the process of servers that nobody closed, and of no others', () => {
    const warned: Error[] = [];
    const onWarning = (warning: Error): void => void warned.push(warning);
    const before = process.listeners('exit');
    const closed = startFrom('/srv/closed.js');
    const forgotten = startFrom('/srv/forgotten.js');
    const [atExit, ...more] = process.listeners('exit').filter((listener) => !before.includes(listener));
    expect(more).toEqual([]);
    closed.end();
    process.on('warning', onWarning);
    atExit?.(0);
    atExit?.(1);
    process.off('warning', onWarning);
    forgotten.end();
    expect(warned).toEqual([expect.objectContaining({ code: 'JARVIS_NOT_CLOSED' })]);
    expect(warned[0]?.message).toContain('/srv/forgotten.js:1:');
    expect(warned[0]?.message).not.toContain('closed.js');
    expect(process.listeners('exit')).toEqual(before);
  });
});
