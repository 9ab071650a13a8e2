import { closeSync, openSync, readSync } from 'node:fs';
import * as z from 'zod';
import { lazy } from '../../../core/lazy.js';

/** Longer configuration files are not looked into. */
const MAX_FILE_BYTES = 1024 * 1024;

const errorSchema = lazy(() =>
  z.object({
    data: z.object({
      path: z.string(),
      message: z.string().optional(),
      issues: z.array(z.object({ path: z.array(z.union([z.string(), z.number()])) })).optional(),
    }),
  }),
);

/**
 * The line, counted from 1, of what a `ConfigInvalidError` of OpenCode 1.18.33 complains of, which names the file and the key
 * only. `undefined` when it cannot be told, e.g. because the file was changed since.
 *
 * @param body - the body of the server's answer.
 */
export function configLine(body: unknown): number | undefined {
  const { data } = errorSchema().safeParse(body).data ?? {};
  if (data === undefined) return undefined;
  const text = readBounded(data.path);
  if (text === undefined) return undefined;
  const at =
    data.issues === undefined ? offsetOfMessage(text, data) : offsetOf(text, data.path, data.issues[0]?.path);
  return at === undefined ? undefined : text.slice(0, at).split('\n').length;
}

function offsetOf(text: string, file: string, keys: readonly (string | number)[] = []): number | undefined {
  if (!file.endsWith('.md')) return new JsonText(text).offsetOf(keys);
  const [key] = keys;
  const line = /^---\r?\n([\s\S]*?)\r?\n---/
    .exec(text)?.[1]
    ?.split('\n')
    .findIndex((each) => each.startsWith(`${key}:`));
  return line === undefined || line < 0 ? undefined : text.split('\n', line + 1).join('\n').length + 1;
}

/** A message quotes the reference it complains of, or names the key last, as `at ["subtask"]`. */
function offsetOfMessage(
  text: string,
  { path, message = '' }: { path: string; message?: string | undefined },
): number | undefined {
  const reference = /"(\{[^"]+\})"/.exec(message)?.[1];
  if (reference !== undefined) {
    const at = text.indexOf(reference);
    return at < 0 ? undefined : at;
  }
  const key = /at \["([^"]+)"\]/.exec(message)?.[1];
  return key === undefined ? undefined : offsetOf(text, path, [key]);
}

function readBounded(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const bytes = Buffer.alloc(MAX_FILE_BYTES);
    const length = readSync(file, bytes, 0, MAX_FILE_BYTES, 0);
    return length === MAX_FILE_BYTES ? undefined : bytes.toString('utf8', 0, length);
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Finds values in JSON with comments and trailing commas. */
class JsonText {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Where the value of a key begins, or of the last of its parents that is there. */
  offsetOf(keys: readonly (string | number)[]): number | undefined {
    this.#skipSpace();
    let found = this.#at;
    for (const key of keys) {
      if (!this.#enter(key)) break;
      this.#skipSpace();
      found = this.#at;
    }
    return found < this.#text.length ? found : undefined;
  }

  /** Moves to the value of one key of the object or array that begins here. */
  #enter(key: string | number): boolean {
    const open = this.#text[this.#at];
    if (open !== '{' && open !== '[') return false;
    this.#at += 1;
    for (let index = 0; ; index += 1) {
      this.#skipSpace();
      const next = this.#text[this.#at];
      if (next === undefined || next === '}' || next === ']') return false;
      let name: unknown = index;
      if (open === '{') {
        name = parseString(this.#skipValue());
        this.#skipSpace();
        if (this.#text[this.#at] !== ':') return false;
        this.#at += 1;
        this.#skipSpace();
      }
      if (String(name) === String(key)) return true;
      this.#skipValue();
      this.#skipSpace();
      if (this.#text[this.#at] === ',') this.#at += 1;
    }
  }

  /** Moves behind the value that begins here, and returns its text; always by at least one character. */
  #skipValue(): string {
    const start = this.#at;
    let depth = 0;
    do {
      const token = this.#match(/"(?:[^"\\]|\\[\s\S])*"?|[^\s{}[\]",:/]+|[\s\S]/y);
      if (token === '{' || token === '[') depth += 1;
      if (token === '}' || token === ']') depth -= 1;
      if (depth > 0) this.#skipSpace();
    } while (depth > 0 && this.#at < this.#text.length);
    return this.#text.slice(start, this.#at);
  }

  #skipSpace(): void {
    this.#match(/(?:[\s\uFEFF]|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const matched = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += matched.length;
    return matched;
  }
}

function parseString(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
