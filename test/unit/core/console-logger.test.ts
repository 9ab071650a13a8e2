import { describe, expect, it, vi } from 'vitest';
import { consoleLogger, type LogLevel } from 'jarvis-opencode';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** What a logger writes that is called once with each level. */
function written(options?: Parameters<typeof consoleLogger>[0]): unknown[][] {
  const lines: unknown[][] = [];
  for (const level of LEVELS) {
    vi.spyOn(console, level).mockImplementation((...line: unknown[]) => void lines.push([level, ...line]));
  }
  const logger = consoleLogger(options);
  for (const level of LEVELS) logger[level]('something happened', { level });
  return lines;
}

describe('consoleLogger()', () => {
  it('writes info and what is worse, each by the method of its level', () => {
    expect(written()).toEqual(
      ['info', 'warn', 'error'].map((level) => [level, 'jarvis-opencode: something happened', { level }]),
    );
  });

  it.each(LEVELS.map((level, index) => [level, LEVELS.slice(index)] as const))(
    'writes from the level %s on',
    (level, expected) => {
      expect(written({ level }).map(([used]) => used)).toEqual(expected);
    },
  );

  it('writes a line without data as text alone', () => {
    const info = vi.spyOn(console, 'info').mockReturnValue();
    consoleLogger().info('ready');
    expect(info).toHaveBeenCalledExactlyOnceWith('jarvis-opencode: ready');
  });

  it.each([{ level: 'loud' }, { level: 1 }, { levels: 'info' }])('refuses the options %j', (options) => {
    expect(() => consoleLogger(options as never)).toThrow(TypeError);
  });
});
