import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';

const MAX_LINES = 200;
const MAX_LINE_CHARS = 4_096;

/** The last lines a process wrote, without colours and with its secrets removed; bounded, however much it writes. */
export class RecentOutput {
  readonly #secrets: readonly string[];
  readonly #lines: string[] = [];
  readonly #onLine: (line: string) => void;

  constructor(secrets: readonly string[], onLine: (line: string) => void) {
    this.#secrets = secrets.filter((secret) => secret !== '');
    this.#onLine = onLine;
  }

  lines(): string[] {
    return [...this.#lines];
  }

  /** Reads the stream line by line until it ends, without waiting for anybody, so the writer cannot block. */
  read(stream: Readable): void {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      const pieces = (rest + chunk).split(/\r?\n/);
      // A line without end is cut, so that a flood of them cannot fill the memory.
      rest = pieces.pop() ?? '';
      if (rest.length > MAX_LINE_CHARS) rest = this.#redact(rest).slice(-MAX_LINE_CHARS);
      for (const piece of pieces) this.#add(piece);
    });
    stream.on('end', () => {
      if (rest !== '') this.#add(rest);
    });
    // The pipe breaks when the process dies, which its exit reports.
    stream.on('error', () => undefined);
  }

  #add(raw: string): void {
    const line = this.#redact(stripVTControlCharacters(raw)).slice(0, MAX_LINE_CHARS);
    if (line.trim() === '') return;
    if (this.#lines.push(line) > MAX_LINES) this.#lines.shift();
    this.#onLine(line);
  }

  /** Called before a line is cut: a secret in two pieces would not be found. */
  #redact(text: string): string {
    return this.#secrets.reduce((redacted, secret) => redacted.replaceAll(secret, '[redacted]'), text);
  }
}
