import type { Pty, PtySize } from '../../client/schema/pty.js';

/** How much of its output a terminal keeps for those who connect later, in UTF-16 code units: as much as the server. */
const MAX_KEPT = 2 * 1024 * 1024;

/** How a connection to a terminal ends when the terminal is gone, and when the process of the server is. */
export const NORMAL_CLOSURE = 1000;
export const CONNECTION_LOST = 1006;

/** A terminal of the mock, as the program that runs in it sees it. */
export interface MockTerminal {
  readonly id: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Where it runs. */
  readonly cwd: string;
  /** Puts out text; lines of a terminal end with `\r\n`. */
  readonly write: (text: string) => void;
  /** Calls the listener with what is typed, as it was sent: Enter is `\r`. */
  readonly onInput: (listener: (text: string) => void) => void;
  /** Calls the listener when somebody gives the terminal another size. */
  readonly onResize: (listener: (size: PtySize) => void) => void;
  /** Ends the program, and with it the terminal. @default 0 */
  readonly exit: (code?: number) => void;
}

/** What runs in the terminals; called once for each, when it is created. */
export type MockTerminalProgram = (terminal: MockTerminal) => void;

/** Shows what is typed, as a terminal does by itself. */
export const echoProgram: MockTerminalProgram = ({ onInput, write }) =>
  onInput((text) => write(text.replaceAll('\r', '\r\n')));

/** Someone who is connected. */
export interface TerminalReader {
  text(data: string): void;
  /** How much of the output there was in all when the reader came. */
  position(cursor: number): void;
  end(code: number): void;
}

/** A terminal with everybody who is connected to it. */
export class Terminal {
  readonly pty: Pty;
  readonly #onExit: (code: number) => void;
  readonly #readers = new Set<TerminalReader>();
  readonly #inputs: ((text: string) => void)[] = [];
  readonly #sizes: ((size: PtySize) => void)[] = [];
  #kept = '';
  /** How much of the output is not kept any more. */
  #dropped = 0;
  #isOpen = true;

  constructor(pty: Pty, onExit: (code: number) => void) {
    this.pty = pty;
    this.#onExit = onExit;
  }

  /** Lets the program run. */
  start(program: MockTerminalProgram): void {
    const { id, command, args, cwd } = this.pty;
    program({
      ...{ id, command, args, cwd },
      write: (text) => this.#write(text),
      onInput: (listener) => this.#inputs.push(listener),
      onResize: (listener) => this.#sizes.push(listener),
      exit: (code = 0) => {
        if (this.#isOpen) this.#onExit(code);
      },
    });
  }

  /** Somebody types. */
  input(text: string): void {
    for (const listener of this.#inputs) listener(text);
  }

  resize(size: PtySize): void {
    for (const listener of this.#sizes) listener(size);
  }

  /**
   * Shows what was put out since `cursor`, and then everything that is; the returned function ends that.
   *
   * @param cursor - how much of the output is known already; -1 for all of it.
   */
  connect(reader: TerminalReader, cursor: number): () => void {
    const end = this.#dropped + this.#kept.length;
    const backlog = cursor === -1 ? '' : this.#kept.slice(Math.max(0, cursor - this.#dropped));
    if (backlog !== '') reader.text(backlog);
    reader.position(end);
    this.#readers.add(reader);
    return () => void this.#readers.delete(reader);
  }

  /** It is gone; `code` is that with which the connections end. */
  end(code: number): void {
    this.#isOpen = false;
    for (const reader of this.#readers) reader.end(code);
    this.#readers.clear();
  }

  #write(text: string): void {
    if (!this.#isOpen || text === '') return;
    const output = this.#kept + text;
    this.#kept = output.slice(-MAX_KEPT);
    this.#dropped += output.length - this.#kept.length;
    for (const reader of this.#readers) reader.text(text);
  }
}
