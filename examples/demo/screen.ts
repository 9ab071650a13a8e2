import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import type { RepoStats } from 'jarvis-opencode';

/** One line of the table. */
export interface Row {
  readonly repo: string;
  readonly state: RepoStats['state'];
  /** When the instance will be disposed if nothing uses it, epoch milliseconds. */
  readonly idleDeadline: number | undefined;
  /** What the session answered so far. */
  readonly answer: string;
}

type Colour = 'bold' | 'dim' | 'green' | 'yellow' | 'cyan';

const HEAD = ['repository', 'state', 'ends in', 'answer'];
/** Of all columns but the last one, which has the rest of the line. */
const WIDTHS = [10, 9, 7];
const GAP = '  ';
/** The width of lines where there is no terminal. */
const DEFAULT_COLUMNS = 100;
const LEAST_ANSWER = 8;
const REDRAW_MS = 100;
const SPINNER = ['|', '/', '-', '\\'];

const STATE_COLOURS: Readonly<Record<RepoStats['state'], Colour>> = {
  busy: 'green',
  idle: 'yellow',
  disposing: 'yellow',
  unloaded: 'dim',
  broken: 'bold',
};

/** What the words of the table mean. */
const LEGEND = [
  'busy      in memory, and something holds it there',
  'idle      in memory, given back when the time ends',
  'unloaded  given back; the next prompt loads it again',
];

// Terminal control sequences.
const NO_WRAP = '\x1b[?7l';
const WRAP = '\x1b[?7h';
const up = (lines: number): string => `\x1b[${lines}A`;
const CLEAR_BELOW = '\x1b[0J';

/**
 * The story, line by line, and under it the table. On a terminal the table is redrawn in place, with colour where the terminal has it;
 * elsewhere a row is printed when its state has changed.
 */
export class Screen {
  readonly #out: WriteStream;
  readonly #hasColour: boolean;
  readonly #startedAt = performance.now();
  #rows: () => readonly Row[] = () => [];
  /** What is waited for before there is a table. */
  #waiting: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Lines of the table that are on the terminal now. */
  #drawn = 0;
  readonly #printed = new Map<string, string>();

  constructor(out: WriteStream) {
    this.#out = out;
    this.#hasColour = out.isTTY && out.hasColors();
  }

  /** Writes one line of the story; what is before its first colon stands out. */
  say(line: string): void {
    this.#erase();
    const seconds = this.#coloured('dim', `${this.#seconds().padStart(5)} s`);
    const [, who, what] = /^([^:]{1,20}:)(.*)$/s.exec(line) ?? [];
    const text = who === undefined ? line : this.#coloured('bold', who) + (what ?? '');
    this.#out.write(`${seconds}  ${text}\n`);
    this.#draw();
  }

  /** Shows that something is waited for until the returned function is called. */
  wait(what: string): () => void {
    if (!this.#out.isTTY) this.say(what);
    this.#waiting = what;
    this.#begin();
    return () => {
      this.#waiting = undefined;
      clearInterval(this.#timer);
      this.refresh();
    };
  }

  /** Shows the table from now on. */
  show(rows: () => readonly Row[]): void {
    for (const line of LEGEND) this.#out.write(this.#coloured('dim', `         ${line}\n`));
    this.#rows = rows;
    if (!this.#out.isTTY) this.#out.write(`         | ${this.#line(HEAD)}\n`);
    this.#begin();
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

  #begin(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.refresh(), REDRAW_MS);
    this.refresh();
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
    const lines = rows.map((row) => this.#line(cells(row), STATE_COLOURS[row.state]));
    if (lines.length > 0) lines.unshift(this.#coloured('dim', this.#line(HEAD)));
    if (this.#waiting !== undefined) lines.push(this.#spinning(this.#waiting));
    if (lines.length === 0) return;
    // Without wrapping every row is one line, whatever is in it, and can be found again.
    this.#out.write(`${NO_WRAP}${lines.join('\n')}\n${WRAP}`);
    this.#drawn = lines.length;
  }

  #printIfChanged(row: Row): void {
    if (this.#printed.get(row.repo) === row.state) return;
    this.#printed.set(row.repo, row.state);
    this.#out.write(`         | ${this.#line(cells(row)).trimEnd()}\n`);
  }

  #spinning(what: string): string {
    const turn = SPINNER[Math.floor(performance.now() / REDRAW_MS) % SPINNER.length] ?? '';
    return `${this.#seconds().padStart(5)} s  ${this.#coloured('cyan', turn)} ${what}`;
  }

  /** One line of the table, as wide as the terminal. */
  #line(columns: readonly string[], state?: Colour): string {
    const fixed = WIDTHS.map((width, index) => {
      const cell = cut(columns[index] ?? '', width).padEnd(width);
      return index === 1 && state !== undefined ? this.#coloured(state, cell) : cell;
    });
    const taken = WIDTHS.reduce((sum, width) => sum + width + GAP.length, 0);
    const left = Math.max(LEAST_ANSWER, (this.#out.isTTY ? this.#out.columns : DEFAULT_COLUMNS) - taken);
    return [...fixed, cut(columns[WIDTHS.length] ?? '', left)].join(GAP);
  }

  #seconds(): string {
    return ((performance.now() - this.#startedAt) / 1000).toFixed(1);
  }

  #coloured(colour: Colour, text: string): string {
    return this.#hasColour ? styleText(colour, text) : text;
  }
}

function cells(row: Row): string[] {
  const left = row.idleDeadline === undefined ? undefined : Math.max(0, row.idleDeadline - Date.now());
  return [
    row.repo,
    row.state,
    left === undefined ? '-' : `${(left / 1000).toFixed(1)} s`,
    printable(row.answer),
  ];
}

/** The beginning of a text that is longer than its column. */
function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** On one line, without what a terminal would act on. */
export function printable(text: string): string {
  return text.replaceAll(/[\s\p{C}]+/gu, ' ');
}
