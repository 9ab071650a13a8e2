import { finished } from 'node:stream/promises';
import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { RecentOutput } from '../../../../src/lifecycle/process/output.js';

const SECRET = 'Zm9vYmFy-c3dvcmRmaXNo-MDEyMzQ1Njc4OQ';

/** Writes the pieces one by one and reads them to their end. */
async function outputOf(
  pieces: readonly (string | Buffer)[],
  secrets: readonly string[] = [],
): Promise<{ readonly output: RecentOutput; readonly told: string[] }> {
  const told: string[] = [];
  const output = new RecentOutput(secrets, (line) => told.push(line));
  const stream = new PassThrough();
  output.read(stream);
  for (const piece of pieces) {
    stream.write(piece);
    // Lets the stream hand over each piece by itself.
    await new Promise((resolve) => setImmediate(resolve));
  }
  stream.end();
  await finished(stream);
  return { output, told };
}

describe('RecentOutput', () => {
  it.each([
    ['in one piece', ['one\ntwo\n']],
    ['in pieces', ['on', 'e', '\n', 't', 'wo\n']],
    ['without a last line end', ['one\ntwo']],
    ['with the line ends of Windows', ['one\r\ntwo\r\n']],
    ['with a line end of Windows that is cut', ['one\r', '\ntwo\r', '\n']],
    ['with blank lines', ['\n\none\n  \n\ntwo\n\n']],
  ])('reads lines %s', async (_what, pieces) => {
    const { output, told } = await outputOf(pieces);
    expect(output.lines()).toEqual(['one', 'two']);
    expect(told).toEqual(['one', 'two']);
  });

  it('leaves colours out of a line, also inside of a secret', async () => {
    const { output } = await outputOf(
      ['\u001b[91m\u001b[1mError: \u001b[0mbad s3c\u001b[1mret\n'],
      ['s3cret'],
    );
    expect(output.lines()).toEqual(['Error: bad [redacted]']);
  });

  it('reads characters that are cut in the middle', async () => {
    const bytes = Buffer.from('ü 日 🦊\n');
    const { output } = await outputOf([...bytes].map((byte) => Buffer.from([byte])));
    expect(output.lines()).toEqual(['ü 日 🦊']);
  });

  it('reports each line as soon as it is complete, not at the end', () => {
    const told = vi.fn();
    const stream = new PassThrough();
    new RecentOutput([], told).read(stream);
    stream.write('one\ntw');
    stream.read();
    return vi.waitFor(() => expect(told.mock.calls).toEqual([['one']]));
  });

  it('reads two streams as one output', async () => {
    const output = new RecentOutput([], () => undefined);
    const streams = [new PassThrough(), new PassThrough()] as const;
    for (const stream of streams) output.read(stream);
    streams[0].end('half a ');
    streams[1].end('line\n');
    await Promise.all(streams.map((stream) => finished(stream)));
    expect(output.lines().sort()).toEqual(['half a ', 'line']);
  });

  it('keeps only the last lines of the output', async () => {
    const lines = Array.from({ length: 1_000 }, (_, index) => `line ${index}`);
    const { output } = await outputOf([`${lines.join('\n')}\n`]);
    const kept = output.lines();
    expect(kept.length).toBeLessThan(lines.length);
    expect(kept.length).toBeGreaterThanOrEqual(50);
    expect(kept).toEqual(lines.slice(-kept.length));
  });

  it('cuts a long line of the output', async () => {
    const { output, told } = await outputOf([`${'x'.repeat(1_000_000)}\n`, 'short\n']);
    expect(output.lines()[0]).toMatch(/^x+$/);
    expect(output.lines()[0]?.length).toBeLessThan(10_000);
    expect(told[0]?.length).toBeLessThan(10_000);
    expect(output.lines()[1]).toBe('short');
  });

  it('keeps little of a line that never ends', async () => {
    const { output } = await outputOf(Array.from({ length: 200 }, () => 'x'.repeat(10_000)));
    expect(output.lines()).toHaveLength(1);
    expect(output.lines()[0]?.length).toBeLessThan(10_000);
  });

  it('survives a broken stream', async () => {
    const output = new RecentOutput([], () => undefined);
    const stream = new PassThrough();
    output.read(stream);
    stream.write('before\n');
    await vi.waitFor(() => expect(output.lines()).toEqual(['before']));
    stream.destroy(new Error('EPIPE'));
    await finished(stream).catch(() => undefined);
    expect(output.lines()).toEqual(['before']);
  });

  it('returns a copy of the lines', async () => {
    const { output } = await outputOf(['one\n']);
    output.lines().push('two');
    expect(output.lines()).toEqual(['one']);
  });
});

describe('secrets in the output', () => {
  it('replaces secrets wherever they are in the output, for listeners too', async () => {
    const other = 'Basic b3BlbmNvZGU6c3dvcmRmaXNo';
    const { output, told } = await outputOf(
      [`${SECRET} and ${SECRET}; authorization: ${other}\n`],
      [SECRET, other],
    );
    expect(output.lines()).toEqual(['[redacted] and [redacted]; authorization: [redacted]']);
    expect(told).toEqual(output.lines());
  });

  it('replaces secrets that come in pieces', async () => {
    const { output } = await outputOf([`pass: ${SECRET.slice(0, 9)}`, `${SECRET.slice(9)}\n`], [SECRET]);
    expect(output.lines()).toEqual(['pass: [redacted]']);
  });

  it('replaces secrets in a last line without an end', async () => {
    const { output } = await outputOf([`pass: ${SECRET}`], [SECRET]);
    expect(output.lines()).toEqual(['pass: [redacted]']);
  });

  it('replaces nothing for an empty secret', async () => {
    const { output } = await outputOf(['ab\n'], ['']);
    expect(output.lines()).toEqual(['ab']);
  });

  it.each([
    ['the end of a long line', (fill: number) => [`${'.'.repeat(fill)}${SECRET}\n`]],
    ['the start of a line that never ends', (fill: number) => [`${SECRET}${'.'.repeat(fill)}`, '.']],
  ])('keeps no part of a secret, cut at %s', async (_what, pieces) => {
    const parts = Array.from({ length: SECRET.length - 4 }, (_, start) => SECRET.slice(start, start + 5));
    // A line is cut at 4096 characters: one of these lengths cuts anywhere in the secret.
    for (let fill = 4_096 - SECRET.length - 2; fill <= 4_096 + 2; fill += 1) {
      const { output, told } = await outputOf(pieces(fill), [SECRET]);
      const kept = [...output.lines(), ...told].join('\n');
      expect(
        parts.filter((part) => kept.includes(part)),
        `after ${fill} characters`,
      ).toEqual([]);
    }
  });
});
