import type { WriteStream } from 'node:tty';
import type { RepoStats } from 'jarvis-opencode';

/** One line of the table. */
export interface Row {
  readonly repo: string;
  readonly session: string;
  readonly state: RepoStats['state'];
  readonly loaded: boolean;
  /** When the instance will be disposed if nothing uses it, epoch milliseconds. */
  readonly idleDeadline: number | undefined;
  /** What the session answered so far. */
  readonly answer: string;
}

const HEAD = ['repo', 'session', 'state', 'loaded', 'idle for', 'answer'];
const WIDTHS = [12, 14, 10, 6, 8];
const REDRAW_MS = 100;

// Terminal control sequences.
const NO_WRAP = '\x1b[?7l';
const WRAP = '\x1b[?7h';
const up = (lines: number): string => `\x1b[${lines}A`;
const CLEAR_BELOW = '\x1b[0J';

/**
 * The story, line by line, and under it the table. On a terminal the table is redrawn in place; elsewhere a row is
 * printed when its session, state or loading has changed.
 */
export class Screen {
  readonly #out: WriteStream;
  readonly #startedAt = performance.now();
  #rows: () => readonly Row[] = () => [];
  #timer: NodeJS.Timeout | undefined;
  /** Lines of the table that are on the terminal now. */
  #drawn = 0;
  readonly #printed = new Map<string, string>();

  constructor(out: WriteStream) {
    this.#out = out;
  }

  /** Writes one line of the story. */
  say(line: string): void {
    this.#erase();
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1).padStart(5);
    this.#out.write(`${seconds} s  ${line}\n`);
    this.#draw();
  }

  /** Shows the table from now on. */
  show(rows: () => readonly Row[]): void {
    this.#rows = rows;
    if (!this.#out.isTTY) this.#out.write(`         | ${format(HEAD)}\n`);
    this.#timer = setInterval(() => this.refresh(), REDRAW_MS);
    this.refresh();
  }

  /** Brings the table up to date. */
  refresh(): void {
    this.#erase();
    this.#draw();
  }

  /** Leaves the table as it is and draws no more. */
  end(): void {
    clearInterval(this.#timer);
    this.#rows = () => [];
    this.#drawn = 0;
  }

  #erase(): void {
    if (this.#drawn > 0) this.#out.write(up(this.#drawn) + CLEAR_BELOW);
    this.#drawn = 0;
  }

  #draw(): void {
    const rows = this.#rows();
    if (!this.#out.isTTY) {
      for (const row of rows) this.#printIfChanged(row);
      return;
    }
    if (rows.length === 0) return;
    const table = [format(HEAD), ...rows.map((row) => format(cells(row)))];
    // Without wrapping every row is one line, whatever is in it, and can be found again.
    this.#out.write(`${NO_WRAP}${table.join('\n')}\n${WRAP}`);
    this.#drawn = table.length;
  }

  #printIfChanged(row: Row): void {
    const key = [row.session, row.state, row.loaded].join(' ');
    if (this.#printed.get(row.repo) === key) return;
    this.#printed.set(row.repo, key);
    this.#out.write(`         | ${format(cells(row)).trimEnd()}\n`);
  }
}

function cells(row: Row): string[] {
  const left = row.idleDeadline === undefined ? undefined : Math.max(0, row.idleDeadline - Date.now());
  return [
    row.repo,
    row.session,
    row.state,
    row.loaded ? 'yes' : 'no',
    left === undefined ? '-' : `${(left / 1000).toFixed(1)} s`,
    printable(row.answer).slice(-40),
  ];
}

/** On one line, without what a terminal would act on. */
export function printable(text: string): string {
  return text.replaceAll(/[\s\p{C}]+/gu, ' ');
}

function format(columns: readonly string[]): string {
  return columns.map((cell, index) => cell.slice(0, WIDTHS[index]).padEnd(WIDTHS[index] ?? 0)).join('  ');
}
