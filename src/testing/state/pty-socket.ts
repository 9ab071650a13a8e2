import { CONNECTION_LOST, type TerminalReader } from './terminal.js';

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const NO_CODE = 1005;

interface SocketEvents {
  readonly open: Record<never, never>;
  readonly message: { readonly data: unknown };
  readonly error: { readonly message: string };
  readonly close: { readonly code: number; readonly reason: string };
}

/** The terminal's end of a connection. */
export interface SocketPeer {
  /** Types text into the terminal. */
  input(text: string): void;
  /** Ends the connection. */
  leave(): void;
}

/**
 * Connects a socket by its URL.
 *
 * @returns the peer; an HTTP status when the connection is refused, `undefined` when the server is down.
 */
export type ConnectSocket = (url: URL, reader: TerminalReader) => Promise<SocketPeer | number | undefined>;

/** A WebSocket to a terminal of the mock without a network. It has the part of the interface that clients of OpenCode use. */
export class MemorySocket {
  binaryType = 'blob';
  readonly url: string;
  readonly #listeners = new Map<string, ((event: never) => void)[]>();
  #readyState = CONNECTING;
  #peer: SocketPeer | undefined;

  constructor(url: string, connect: ConnectSocket) {
    this.url = url;
    void this.#connect(connect);
  }

  get readyState(): number {
    return this.#readyState;
  }

  addEventListener<T extends keyof SocketEvents>(type: T, listener: (event: SocketEvents[T]) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  /** @throws {Error} before the socket is open. */
  send(data: string): void {
    if (this.#readyState === CONNECTING) throw new Error('The WebSocket is not open.');
    // The output arrives after the caller's synchronous code, as over a network.
    void Promise.resolve().then(() => this.#peer?.input(data));
  }

  close(code = NO_CODE, reason = ''): void {
    if (this.#readyState >= CLOSING) return;
    this.#readyState = CLOSING;
    void Promise.resolve().then(() => this.#end(code, reason));
  }

  async #connect(connect: ConnectSocket): Promise<void> {
    const early: (() => void)[] = [];
    const pass = (run: () => void): void => {
      if (this.#readyState === CONNECTING) early.push(run);
      else run();
    };
    const peer = await connect(new URL(this.url), {
      text: (data) => pass(() => this.#message(data)),
      position: (cursor) => pass(() => this.#message(controlFrame(cursor))),
      end: (code) => pass(() => this.#end(code)),
    });
    if (typeof peer === 'object') {
      this.#peer = peer;
      if (this.#readyState !== CONNECTING) return peer.leave();
      this.#readyState = OPEN;
      this.#emit('open', {});
      for (const run of early) run();
    } else {
      const message = peer === undefined ? 'connect ECONNREFUSED' : `Unexpected server response: ${peer}`;
      this.#emit('error', { message });
      this.#end(CONNECTION_LOST);
    }
  }

  #message(data: string | ArrayBuffer): void {
    if (this.#readyState === OPEN) this.#emit('message', { data });
  }

  #end(code: number, reason = ''): void {
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSED;
    this.#peer?.leave();
    this.#emit('close', { code, reason });
  }

  #emit<T extends keyof SocketEvents>(type: T, event: SocketEvents[T]): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }
}

/** The frame with the position in the output where a connection begins: a NUL, then JSON. */
function controlFrame(cursor: number): ArrayBuffer {
  const text = `\0${JSON.stringify({ cursor })}`;
  return new TextEncoder().encode(text).buffer;
}
