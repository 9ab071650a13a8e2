import type { DirectoryChange, OpenCodeEvent } from 'jarvis-opencode';
import { EventHub } from '../../src/client/events/hub.js';
import { ServerLink } from '../../src/client/http/server-link.js';
import type { Logger } from '../../src/core/logger.js';

/** A server's side of `/global/event`, one connection after the other, and a hub that listens to it. */
export class FakeEventSource {
  readonly connections: ReadableStreamDefaultController<Uint8Array>[] = [];
  /** What the observer saw: the types of events, and `live` and `down`. */
  readonly observed: string[] = [];
  /** What was logged. */
  readonly logged: string[] = [];
  resyncs = 0;
  /** What the next resync finds. */
  changes: readonly DirectoryChange[] = [];
  /** Settles when the resync may answer. */
  reading: Promise<void> = Promise.resolve();
  /** Which of the directories asked about somebody had subscribed to, at the last resync. */
  subscribed: Record<string, boolean> = {};
  /** What the observer wants for itself. */
  wants: (type: string, directory: string | undefined) => boolean = () => true;
  /** Rejects the next connections. */
  refusal: Error | undefined;
  /** Whether a new connection says something at once. */
  isSilent = false;
  /** How many connections were asked for. */
  attempts = 0;
  /** How many connections are open now. */
  open = 0;
  /** How often the server was told to be alive. */
  signs = 0;
  /** What the server takes to answer other requests. */
  answer: () => Promise<unknown> = () => Promise.resolve();
  /** Loses the server and finds the next one. */
  readonly link = new ServerLink(true);
  readonly hub = new EventHub({
    open: (signal) => this.#open(signal),
    onActivity: () => (this.signs += 1),
    probe: () => this.answer(),
    link: this.link,
    logger: this.#logger(),
  });

  constructor() {
    this.hub.observe({
      wants: (type, directory) => this.wants(type, directory),
      event: (event) => this.observed.push(event.type),
      connection: (live) => this.observed.push(live ? 'live' : 'down'),
      resync: (isSubscribed) => {
        this.resyncs += 1;
        this.subscribed = { '/a': isSubscribed('/a'), '/b': isSubscribed('/b') };
        return this.reading.then(() => this.changes);
      },
    });
  }

  send(directory: string | undefined, type: string, properties: object = {}): void {
    const payload = { id: `evt_${type}`, type, properties };
    this.write(`data: ${JSON.stringify({ directory, payload })}\n\n`);
  }

  /** Sends text as it is. */
  write(text: string): void {
    this.connections.at(-1)?.enqueue(new TextEncoder().encode(text));
  }

  #open(signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    this.attempts += 1;
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    this.open += 1;
    let isOpen = true;
    const end = (): void => {
      if (isOpen) this.open -= 1;
      isOpen = false;
    };
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.connections.push(controller);
        signal.addEventListener('abort', () => {
          try {
            controller.error(signal.reason);
          } catch {
            // It has ended before.
          }
          end();
        });
      },
      cancel: end,
    });
    if (!this.isSilent) this.send(undefined, 'server.connected');
    return Promise.resolve(body);
  }

  #logger(): Logger {
    const log = (message: string): number => this.logged.push(message);
    return { debug: log, info: log, warn: log, error: log };
  }
}

/** The first `count` events of a stream, or fewer when it ends before. */
export async function take(stream: AsyncIterable<OpenCodeEvent>, count: number): Promise<OpenCodeEvent[]> {
  const events: OpenCodeEvent[] = [];
  for await (const event of stream) if (events.push(event) === count) break;
  return events;
}
