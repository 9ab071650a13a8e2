import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { filePart, FilePathError, type FilePartOptions, type FilePathReason } from 'jarvis-opencode';

let root: string;
let repo: { readonly directory: string };

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'jarvis-file-part-')));
  repo = { directory: join(root, 'repo') };
  mkdirSync(join(repo.directory, 'src'), { recursive: true });
  writeFileSync(join(repo.directory, 'src', 'app.ts'), 'one\ntwo\nthree\n');
  writeFileSync(join(root, 'secret.txt'), 'outside');
});
afterEach(() => rmSync(root, { recursive: true }));

function refusal(path: string, options?: FilePartOptions): FilePathReason {
  try {
    filePart(path, options);
  } catch (error) {
    expect(error).toBeInstanceOf(FilePathError);
    expect(error).toMatchObject({ path });
    return (error as FilePathError).reason;
  }
  throw new Error('It was taken.');
}

describe('filePart()', () => {
  it('makes a part of an absolute path, named by its last part', () => {
    const path = join(repo.directory, 'src', 'app.ts');
    const part = filePart(path);
    expect(part).toMatchObject({ type: 'file', mime: 'text/plain', filename: 'app.ts' });
    expect(fileURLToPath(part.url)).toBe(path);
  });

  it('makes a part of a path of the repository, named as it is there', () => {
    const path = join(repo.directory, 'src', 'app.ts');
    for (const spelling of ['src/app.ts', './src/../src/app.ts', path]) {
      const part = filePart(spelling, { repo });
      expect(part.filename).toBe(join('src', 'app.ts'));
      expect(fileURLToPath(part.url)).toBe(path);
    }
  });

  it('encodes what a URL would take for something else', () => {
    const path = join(repo.directory, `a b%20ü日#?+'&.ts`);
    writeFileSync(path, 'odd');
    const { url } = filePart(path, { lines: { start: 1, end: 1 } });
    expect(new URL(url).search).toBe('?start=1&end=1');
    expect(fileURLToPath(url)).toBe(path);
  });

  it('asks for the lines that are wanted', () => {
    const queryOf = (lines: FilePartOptions['lines']): string =>
      new URL(filePart('src/app.ts', { repo, lines }).url).search;
    expect(queryOf({ start: 2, end: 3 })).toBe('?start=2&end=3');
    expect(queryOf({ start: 2 })).toBe('?start=2');
    expect(queryOf(undefined)).toBe('');
  });

  it.each([
    ['app.ts', 'text/plain'],
    ['data.json', 'text/plain'],
    ['logo.svg', 'text/plain'],
    ['Makefile', 'text/plain'],
    ['photo.PNG', 'image/png'],
    ['photo.jpeg', 'image/jpeg'],
    ['paper.pdf', 'application/pdf'],
    ['talk.mp4', 'video/mp4'],
  ])('gives %s the media type %s', (name, mime) => {
    writeFileSync(join(repo.directory, name), mime === 'text/plain' ? 'text' : '\0binary');
    expect(filePart(name, { repo }).mime).toBe(mime);
  });

  it('takes the media type and the name that the caller gives', () => {
    writeFileSync(join(repo.directory, 'data.bin'), '\0');
    const options = { repo, mime: 'application/octet-stream', filename: 'dump' };
    expect(filePart('data.bin', options)).toMatchObject({
      mime: 'application/octet-stream',
      filename: 'dump',
    });
  });

  it('makes a part of a directory, and of the repository itself', () => {
    expect(filePart('src', { repo })).toMatchObject({ mime: 'application/x-directory', filename: 'src' });
    expect(filePart('.', { repo })).toMatchObject({ mime: 'application/x-directory', filename: 'repo' });
  });

  it('rejects with FilePathError what can be no part, and says why', () => {
    writeFileSync(join(repo.directory, 'data.bin'), 'a\0b');
    symlinkSync('loop', join(repo.directory, 'loop'));
    expect(refusal('src/app.ts')).toBe('not-absolute');
    expect(refusal('src/none.ts', { repo })).toBe('not-found');
    expect(refusal('src/app.ts/none', { repo })).toBe('not-found');
    expect(refusal('', { repo })).toBe('invalid');
    expect(refusal('a\0b', { repo })).toBe('invalid');
    expect(refusal('\ud800', { repo })).toBe('invalid');
    expect(refusal('data.bin', { repo })).toBe('binary');
    expect(refusal('loop', { repo })).toBe('unreadable');
    expect(refusal('src', { repo, lines: { start: 1 } })).toBe('no-lines');
  });

  it('refuses a relative path that leads out of the repository, and takes an absolute one', () => {
    symlinkSync(join(root, 'secret.txt'), join(repo.directory, 'link.txt'));
    writeFileSync(join(repo.directory, '..notes'), 'inside');
    expect(refusal('../secret.txt', { repo })).toBe('outside');
    expect(refusal('link.txt', { repo })).toBe('outside');
    expect(refusal('..', { repo })).toBe('outside');
    expect(filePart('..notes', { repo }).filename).toBe('..notes');
    expect(filePart(join(root, 'secret.txt'), { repo }).filename).toBe('secret.txt');
  });

  it.runIf(process.platform !== 'win32')('refuses a pipe without waiting for its writer', () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    expect(refusal(join(root, 'pipe'))).toBe('not-a-file');
    expect(refusal(join(root, 'pipe'), { mime: 'text/plain' })).toBe('not-a-file');
  });

  it.each<[options: object, message: RegExp]>([
    [{ line: 1 }, /Unknown option 'line' of filePart\(\).*'lines'/],
    [{ lines: { start: 0 } }, /lines\.start to be a positive integer/],
    [{ lines: { end: 2 } }, /lines\.start to be a positive integer/],
    [{ lines: { start: 3, end: 2 } }, /lines\.end to be 3 or more, got 2/],
    [{ repo: '/srv' }, /repo to be an object/],
    [{ repo: {} }, /repo\.directory to be a string/],
  ])('throws for the wrong options %j', (options, message) => {
    expect(() => filePart('src/app.ts', { repo, ...options })).toThrow(message);
  });
});
