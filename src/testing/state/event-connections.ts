import { onAbort } from '../../core/abort.js';
import { realClock, type Timer } from '../../core/clock.js';

/** A connection to an event stream. */
export interface EventReader {
  /** The directory whose events it receives; `undefined` for all directories. */
  readonly directory: string | undefined;
  /** Sends text as it is, e.g. a frame. */
  readonly send: (text: string) => void;
  /** Ends the connection normally. */
  readonly close: () => void;
  /** Breaks the connection. */
  readonly break: (reason: unknown) => void;
}

/** What a stream shows of itself. */
export interface StreamInit {
  /** Milliseconds between two heartbeats, in real time, like the watchdog of a client, which ends a silent stream. */
  readonly heartbeatMs: number;
  /** Called for each new connection. */
  readonly begin: (reader: EventReader) => void;
  /** Called for each heartbeat, while there are connections. */
  readonly heartbeat: () => void;
}

/** The open connections to the events of a server. */
export class EventConnections {
  readonly #init: StreamInit;
  readonly #encoder = new TextEncoder();
  /** Each with a function that takes the listener off its signal. */
  readonly #open = new Map<EventReader, () => void>();
  #timer: Timer | undefined;

  constructor(init: StreamInit) {
    this.#init = init;
  }

  readers(): readonly EventReader[] {
    return [...this.#open.keys()];
  }

  /**
   * Opens a connection.
   *
   * @param signal - ends the connection, like a client that hangs up: msw does not report that a response body is cancelled.
   */
  open(signal: AbortSignal, directory?: string): ReadableStream<Uint8Array> {
    let reader: EventReader | undefined;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        if (signal.aborted) return controller.error(signal.reason);
        reader = this.#readerOf(controller, directory);
        const opened = reader;
        this.#open.set(
          opened,
          onAbort(signal, () => opened.break(signal.reason)),
        );
        this.#init.begin(opened);
        this.#schedule();
      },
      cancel: () => {
        if (reader !== undefined) this.#leave(reader);
      },
    });
  }

  #readerOf(
    controller: ReadableStreamDefaultController<Uint8Array>,
    directory: string | undefined,
  ): EventReader {
    const reader: EventReader = {
      directory,
      send: (text) => controller.enqueue(this.#encoder.encode(text)),
      close: () => {
        if (this.#leave(reader)) controller.close();
      },
      break: (reason) => {
        if (this.#leave(reader)) controller.error(reason);
      },
    };
    return reader;
  }

  #leave(reader: EventReader): boolean {
    const detach = this.#open.get(reader);
    this.#open.delete(reader);
    detach?.();
    if (this.#open.size === 0) this.#timer?.cancel();
    return detach !== undefined;
  }

  #schedule(): void {
    this.#timer?.cancel();
    this.#timer = realClock.after(this.#init.heartbeatMs, () => {
      this.#init.heartbeat();
      this.#schedule();
    });
  }
}
