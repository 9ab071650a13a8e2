import { closeSync, openSync, readSync, realpathSync, statSync, type Stats } from 'node:fs';
import { basename, extname, isAbsolute, relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { anObject, assertOptions, aString, positiveInteger, type OptionChecks } from '../../core/checks.js';
import { FilePathError, type FilePathReason } from '../../errors.js';

/** The lines of a text file, counted from 1. */
export interface FileLines {
  /** The first line. A file that ends before it gives the model a message of the server that says so. */
  readonly start: number;
  /** The last line, itself included. @default the end of the file */
  readonly end?: number | undefined;
}

/** Options of `filePart()`. */
export interface FilePartOptions {
  /** What a relative path is relative to: a repository, or a session of it. The file must then be inside, links followed. */
  readonly repo?: { readonly directory: string } | undefined;
  /** Only these lines of a text file. @default the whole file, of which OpenCode 1.18.33 shows the first 2000 lines */
  readonly lines?: FileLines | undefined;
  /**
   * The media type. OpenCode 1.18.33 shows `text/plain` as numbered lines, whatever the language, and gives everything else to the
   * model's provider as it is. What a provider refuses stays in the history of the session, and fails every later prompt.
   *
   * @default by the file: an image, audio, video or PDF by its extension, `application/x-directory`, else `text/plain`
   */
  readonly mime?: string | undefined;
  /** How the model sees the file called. @default the path relative to `repo`, else the last part of it */
  readonly filename?: string | undefined;
}

/** A file as a part of a prompt. */
export interface FilePartInput {
  readonly type: 'file';
  readonly mime: string;
  /** Its `file:` URL; lines are in the query, `start` and `end`. */
  readonly url: string;
  readonly filename: string;
}

const lineChecks: OptionChecks<FileLines> = { start: positiveInteger, end: positiveInteger };
const checks: OptionChecks<FilePartOptions> = {
  repo: (name, value) => {
    anObject(name, value);
    aString(`${name}.directory`, (value as { directory?: unknown }).directory);
  },
  lines: (name, value) => {
    anObject(name, value);
    assertOptions('filePart()', lineChecks, value, `${name}.`);
    const { start, end = Number.POSITIVE_INFINITY } = value as Partial<FileLines>;
    positiveInteger(`${name}.start`, start);
    if ((start ?? 1) > end) throw new RangeError(`Expected ${name}.end to be ${start} or more, got ${end}.`);
  },
  mime: aString,
  filename: aString,
};

const DIRECTORY = 'application/x-directory';
const TEXT = 'text/plain';
/** What models read that is no text; an SVG is text. A general table would make a video of `.ts`. */
const MEDIA: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.pdf': 'application/pdf',
  '.mp3': 'audio/mpeg',
  '.wav': 'audio/wav',
  '.ogg': 'audio/ogg',
  '.flac': 'audio/flac',
  '.m4a': 'audio/mp4',
  '.mp4': 'video/mp4',
  '.webm': 'video/webm',
  '.mov': 'video/quicktime',
};
/** How much of a file is looked at for a byte that no text has. */
const LOOK_BYTES = 8_192;

/**
 * A file or a directory of this machine as a part of a prompt. The server reads it when the prompt arrives, on its own disk: for a
 * server on another machine the path must be the same there. Of a directory the model sees the names in it. On Node only.
 *
 * @param path - absolute, or relative to `repo`.
 * @throws {FilePathError} when it cannot be read, leads out of `repo`, or is neither text nor of a type that models read.
 * @throws {TypeError} {@link RangeError} for an invalid option.
 * @example
 * ```ts
 * await session.prompt({
 *   parts: [
 *     { type: 'text', text: 'What does this do?' },
 *     filePart('src/app.ts', { repo: session, lines: { start: 10, end: 40 } }),
 *   ],
 * });
 * ```
 */
export function filePart(path: string, options: FilePartOptions = {}): FilePartInput {
  aString('the path', path);
  assertOptions('filePart()', checks, options);
  const { repo, lines } = options;
  if (path === '' || path.includes('\0') || !path.isWellFormed()) throw new FilePathError(path, 'invalid');
  if (!isAbsolute(path) && repo === undefined) throw new FilePathError(path, 'not-absolute');
  const file = repo === undefined ? path : resolve(repo.directory, path);
  const stats = statsOf(path, file);
  if (repo !== undefined && !isAbsolute(path)) assertInside(path, file, repo.directory);
  // Opening a FIFO would wait for a writer.
  if (!stats.isFile() && !stats.isDirectory()) throw new FilePathError(path, 'not-a-file');
  const mime = options.mime ?? (stats.isDirectory() ? DIRECTORY : mimeOf(path, file));
  if (lines !== undefined && mime !== TEXT) throw new FilePathError(path, 'no-lines');
  const url = pathToFileURL(file);
  if (lines !== undefined) {
    url.searchParams.set('start', String(lines.start));
    if (lines.end !== undefined) url.searchParams.set('end', String(lines.end));
  }
  const filename = options.filename ?? nameOf(file, repo?.directory);
  return { type: 'file', mime, url: url.href, filename };
}

function statsOf(path: string, file: string): Stats {
  try {
    return statSync(file);
  } catch (cause) {
    throw new FilePathError(path, reasonOf(cause), { cause });
  }
}

function reasonOf(cause: unknown): FilePathReason {
  const { code } = cause as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' ? 'not-found' : 'unreadable';
}

/** Refuses a path that leads out of the directory, by `..` or by a link. */
function assertInside(path: string, file: string, directory: string): void {
  if (!isWithin(realpathSync.native(file), realpathSync.native(directory))) {
    throw new FilePathError(path, 'outside');
  }
}

function isWithin(file: string, directory: string): boolean {
  const way = relative(directory, file);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function mimeOf(path: string, file: string): string {
  const isBinary = hasZeroByte(path, file);
  const media = MEDIA[extname(file).toLowerCase()];
  if (media !== undefined) return media;
  if (isBinary) throw new FilePathError(path, 'binary');
  return TEXT;
}

function hasZeroByte(path: string, file: string): boolean {
  try {
    const handle = openSync(file, 'r');
    try {
      const start = Buffer.alloc(LOOK_BYTES);
      return start.subarray(0, readSync(handle, start)).includes(0);
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    throw new FilePathError(path, reasonOf(cause), { cause });
  }
}

function nameOf(file: string, directory: string | undefined): string {
  const own = directory !== undefined && isWithin(file, directory) ? relative(directory, file) : '';
  return own === '' ? basename(file) : own;
}
