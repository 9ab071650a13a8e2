import { deferred, onAbort, type Deferred } from '../../core/abort.js';
import { ClosedError, ConnectionError, ServerLostError, type RequestTarget } from '../../errors.js';
import { realTime } from '../../core/real-time.js';
import type { RequestOptions } from '../http/request-options.js';
import type { PtySize } from '../schema/pty.js';

/** The part of a WebSocket that this library uses. Those of browsers, of Node 22 and of the package `ws` have it. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'error', listener: (event: object) => void): void;
  addEventListener(
    type: 'close',
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
}

/** Makes a WebSocket, as `globalThis.WebSocket` and the default export of the package `ws` do. */
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** How a terminal connection ended. OpenCode closes with 1000 when the process exits, the terminal is removed or the instance disposed. */
export interface PtyClose {
  /** The code of the WebSocket; 1006 when the connection was lost. */
  readonly code: number;
  readonly reason: string;
}

/** What a connection gets from the resource that opens it. */
export interface PtyConnectionInit {
  readonly ptyID: string;
  readonly target: RequestTarget;
  readonly socket: WebSocketLike;
  resize(size: PtySize, options?: RequestOptions): Promise<void>;
  /** Called when the connection was lost: whether the server itself has ended. */
  readonly hasServerEnded: () => Promise<boolean>;
  /** Called once, when the connection is over. */
  readonly release: () => void;
}

const OPEN = 1;
const NORMAL_CLOSURE = 1000;
const CONNECTION_LOST = 1006;
const NOT_READ = 4000;
/** How long the server may take to confirm a close. */
const CLOSE_TIMEOUT_MS = 2_000;
/** How much output may wait for a reader, in UTF-16 code units; OpenCode itself keeps 2 Mi of them to resume from. */
const MAX_UNREAD = 8 * 1024 * 1024;
/** The longest message, in UTF-16 code units: OpenCode 1.18.33 closes the connection on a message of 20 MB. */
const MAX_MESSAGE = 64 * 1024;

/**
 * A connection to a terminal: iterate it for its output, write its input. Leaving a loop keeps it open, and the next loop
 * goes on from there. The iteration ends when the process has ended or the terminal is gone, and throws
 * {@link ConnectionError} when the connection was lost: then connect again from {@link cursor}. It throws
 * {@link ServerLostError} when the server has ended, and the terminal with it.
 */
export class PtyConnection implements AsyncIterable<string>, AsyncDisposable {
  readonly ptyID: string;
  /** Resolves when the connection is over; never rejects. */
  readonly closed: Promise<PtyClose>;
  readonly #init: PtyConnectionInit;
  readonly #opened = deferred();
  readonly #closed = deferred<PtyClose>();
  #unread: string[] = [];
  #unreadLength = 0;
  /** Code units received and handed out since the connection was opened. */
  #received = 0;
  #delivered = 0;
  /** The position in the terminal's whole output at which this connection began. */
  #start: number | undefined;
  #waiting: Deferred<void> | undefined;
  #end: { readonly error?: ConnectionError | ServerLostError } | undefined;
  #isOver = false;
  #problem: string | undefined;

  /** @internal Listens at once: the backlog follows the opening immediately. */
  constructor(init: PtyConnectionInit) {
    this.#init = init;
    this.ptyID = init.ptyID;
    this.closed = this.#closed.promise;
    const { socket } = init;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => this.#opened.resolve());
    socket.addEventListener('message', ({ data }) => this.#receive(data));
    socket.addEventListener('error', (event) => {
      this.#problem = messageOf(event) ?? this.#problem;
    });
    socket.addEventListener('close', ({ code, reason }) => void this.#closedBySocket({ code, reason }));
  }

  /**
   * How much of the terminal's output was read so far, since it was created, in UTF-16 code units: `connect` with it goes
   * on exactly there. `undefined` until the server has sent where this connection began, which it does after the backlog.
   */
  get cursor(): number | undefined {
    return this.#start === undefined ? undefined : this.#start + this.#delivered;
  }

  /**
   * Sends input to the process, as if it were typed: end a line with `\r`.
   *
   * @throws {ClosedError} when the connection is over.
   */
  write(text: string): void {
    if (typeof text !== 'string') throw new TypeError(`Expected text to be a string, got ${typeof text}.`);
    const { socket } = this.#init;
    if (this.#end !== undefined || socket.readyState !== OPEN)
      throw new ClosedError('The terminal connection');
    for (const piece of pieces(text)) socket.send(piece);
  }

  /**
   * Sets the size of the terminal, which the process is told.
   *
   * @throws {RequestError} with status 404 when the terminal is gone.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  resize(size: PtySize, options?: RequestOptions): Promise<void> {
    return this.#init.resize(size, options);
  }

  /** Ends the connection, and a waiting loop quietly; the process goes on. Idempotent. */
  async close(): Promise<void> {
    this.#finish({});
    if (this.#isOver) return;
    this.#init.socket.close(NORMAL_CLOSURE);
    const timer = realTime.setTimeout(
      () => this.#over({ code: CONNECTION_LOST, reason: '' }),
      CLOSE_TIMEOUT_MS,
    );
    await this.closed;
    realTime.clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    for (;;) {
      const text = this.#unread.shift();
      if (text !== undefined) {
        this.#unreadLength -= text.length;
        this.#delivered += text.length;
        yield text;
        continue;
      }
      if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      }
      this.#waiting ??= deferred();
      await this.#waiting.promise;
    }
  }

  /** @internal The server has ended, and the terminal with it. */
  lose(): void {
    this.#over({ code: CONNECTION_LOST, reason: '' }, new ServerLostError('The terminal connection'));
    this.#init.socket.close();
  }

  /** @internal Resolves when it is open. On abort, or when it is refused, closes the socket and rejects. */
  async open(signal: AbortSignal): Promise<void> {
    const detach = onAbort(signal, () => this.#opened.reject(signal.reason));
    try {
      await this.#opened.promise;
    } catch (error) {
      this.#finish({});
      this.#init.socket.close();
      this.#over({ code: CONNECTION_LOST, reason: '' });
      throw error;
    } finally {
      detach();
    }
  }

  #receive(data: unknown): void {
    if (this.#end !== undefined) return;
    if (typeof data !== 'string') {
      const position = data instanceof ArrayBuffer ? positionOf(data) : undefined;
      if (position !== undefined) this.#start = position - this.#received;
      return;
    }
    if (data === '') return;
    this.#received += data.length;
    this.#unread.push(data);
    this.#unreadLength += data.length;
    this.#wake();
    if (this.#unreadLength <= MAX_UNREAD) return;
    this.#finish({ error: this.#lost(`more than ${MAX_UNREAD} characters of its output were not read`) });
    this.#init.socket.close(NOT_READ);
  }

  /** A lost connection may be the first that is seen of a lost server. */
  async #closedBySocket(close: PtyClose): Promise<void> {
    const isLost = close.code !== NORMAL_CLOSURE && this.#end === undefined;
    const hasServerEnded = isLost && (await this.#init.hasServerEnded());
    this.#over(close, hasServerEnded ? new ServerLostError('The terminal connection') : undefined);
  }

  #over(close: PtyClose, lost?: ServerLostError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const text = this.#problem ?? `the connection was closed with code ${close.code}`;
    const error = lost ?? this.#lost(text);
    // Has no effect on a connection that was open.
    this.#opened.reject(error);
    this.#finish(close.code === NORMAL_CLOSURE ? {} : { error }, true);
    this.#closed.resolve(close);
    this.#init.release();
  }

  #finish(end: { readonly error?: ConnectionError | ServerLostError }, keep = 'error' in end): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    // When the reader ends the connection nobody reads the rest; otherwise it is still read.
    if (!keep) this.#unread = [];
    this.#wake();
  }

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  #lost(text: string): ConnectionError {
    return new ConnectionError(this.#init.target, { cause: new Error(text) });
  }
}

/** Cuts a text into messages without cutting a character in two. */
function* pieces(text: string): Generator<string, void, undefined> {
  for (let start = 0; start < text.length;) {
    let end = start + MAX_MESSAGE;
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end -= 1;
    yield text.slice(start, end);
    start = end;
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** The position in a control frame: a NUL, then `{"cursor":N}`. */
function positionOf(data: ArrayBuffer): number | undefined {
  const bytes = new Uint8Array(data);
  if (bytes[0] !== 0) return undefined;
  try {
    const control = JSON.parse(new TextDecoder().decode(bytes.subarray(1))) as { cursor?: unknown } | null;
    return typeof control?.cursor === 'number' ? control.cursor : undefined;
  } catch {
    return undefined;
  }
}

/** The message of an error event; those of a browser have none. */
function messageOf(event: object): string | undefined {
  const { message } = event as { message?: unknown };
  return typeof message === 'string' && message !== '' ? message : undefined;
}
