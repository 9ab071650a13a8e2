import type { Pty, PtySize } from '../../client/schema/pty.js';

/** The newest output that a terminal keeps for later connections, in UTF-16 code units; as much as OpenCode 1.18.33 keeps. */
const MAX_KEPT = 2 * 1024 * 1024;

/** The close code of a connection whose terminal has ended. */
export const NORMAL_CLOSURE = 1000;
/** The close code of a connection whose server has ended. */
export const CONNECTION_LOST = 1006;

/** A terminal of the mock, as the program that runs in it sees it. */
export interface MockTerminal {
  readonly id: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The directory that the terminal runs in. */
  readonly cwd: string;
  /** Writes output; lines of a terminal end with `\r\n`. */
  readonly write: (text: string) => void;
  /** Calls the listener with typed text, as it was sent: Enter is `\r`. */
  readonly onInput: (listener: (text: string) => void) => void;
  /** Calls the listener when a client changes the size of the terminal, in rows and columns. */
  readonly onResize: (listener: (size: PtySize) => void) => void;
  /** Ends the program and its terminal. @param code - the exit code. @default 0 */
  readonly exit: (code?: number) => void;
}

/** The program in the terminals; called once for each terminal, when it is created. */
export type MockTerminalProgram = (terminal: MockTerminal) => void;

/** Echoes typed text, as a terminal does by itself. */
export const echoProgram: MockTerminalProgram = ({ onInput, write }) =>
  onInput((text) => write(text.replaceAll('\r', '\r\n')));

/** A connection to a terminal. */
export interface TerminalReader {
  /** Receives output. */
  text(data: string): void;
  /** Receives the length of all output when the connection began, in UTF-16 code units. */
  position(cursor: number): void;
  /** Receives the close code. */
  end(code: number): void;
}

/** A terminal with its program and its connections. */
export class Terminal {
  readonly pty: Pty;
  readonly #onExit: (code: number) => void;
  readonly #readers = new Set<TerminalReader>();
  readonly #inputs: ((text: string) => void)[] = [];
  readonly #sizes: ((size: PtySize) => void)[] = [];
  #kept = '';
  /** The length of the output that is not kept any more, in UTF-16 code units. */
  #dropped = 0;
  #isOpen = true;

  constructor(pty: Pty, onExit: (code: number) => void) {
    this.pty = pty;
    this.#onExit = onExit;
  }

  /** Runs the program. */
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

  /** Types text. */
  input(text: string): void {
    for (const listener of this.#inputs) listener(text);
  }

  resize(size: PtySize): void {
    for (const listener of this.#sizes) listener(size);
  }

  /**
   * Sends the reader the output since `cursor`, and then all later output.
   *
   * @param cursor - the length of the output that the reader knows, in UTF-16 code units; -1 for all of it.
   * @returns a function that ends the connection.
   */
  connect(reader: TerminalReader, cursor: number): () => void {
    const end = this.#dropped + this.#kept.length;
    const backlog = cursor === -1 ? '' : this.#kept.slice(Math.max(0, cursor - this.#dropped));
    if (backlog !== '') reader.text(backlog);
    reader.position(end);
    this.#readers.add(reader);
    return () => void this.#readers.delete(reader);
  }

  /** Ends the terminal. @param code - the close code of its connections. */
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
