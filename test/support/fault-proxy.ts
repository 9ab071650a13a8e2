import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** One connection of a client through the proxy. */
export interface ProxyConnection {
  /** Method and path of its last request, e.g. `GET /global/event`; empty before the first. */
  readonly request: string;
  /** Keeps what either side sends back until {@link release}. */
  hold(): void;
  release(): void;
  /** Resets both sides, in the middle of whatever they send. */
  cut(): void;
  /** Resets both sides when `bytes` more have gone to the client. */
  cutAfter(bytes: number): void;
  /** Loses what either side sends from now on, and tells neither: like a cable that is pulled out. */
  halfOpen(): void;
  /** Passes bytes to the client no faster than this. */
  slow(bytesPerSecond: number): void;
}

/** A TCP proxy on loopback that does to connections what networks do. */
export interface FaultProxy extends AsyncDisposable {
  readonly url: string;
  /** The open connections, oldest first. */
  connections(): readonly ProxyConnection[];
  /** How many connections there have been. */
  readonly accepted: number;
  /** Called with each new connection before anything of it is passed on. */
  onConnection: (connection: ProxyConnection) => void;
  /** Cuts every connection and frees the port; idempotent. */
  close(): Promise<void>;
}

/** Milliseconds between two portions of a slow connection. */
const SLOW_TICK_MS = 20;

class Connection implements ProxyConnection {
  request = '';
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #onEnd: () => void;
  #isHeld = false;
  #isHalfOpen = false;
  #bytesLeft = Number.POSITIVE_INFINITY;
  #bytesPerTick: number | undefined;
  #waiting: { readonly to: Socket; bytes: Buffer }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(client: Socket, server: Socket, onEnd: () => void) {
    this.#client = client;
    this.#server = server;
    this.#onEnd = onEnd;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('data', (bytes: Buffer) => this.#take(from, to, bytes));
      from.on('end', () => this.#isHalfOpen || to.end());
      from.on('error', () => this.cut());
      from.on('close', () => this.#closed(to));
    }
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.#flush();
  }

  cut(): void {
    for (const socket of [this.#client, this.#server]) if (!socket.destroyed) socket.resetAndDestroy();
  }

  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes;
  }

  halfOpen(): void {
    this.#isHalfOpen = true;
    this.#waiting = [];
  }

  slow(bytesPerSecond: number): void {
    this.#bytesPerTick = Math.max(1, Math.round((bytesPerSecond * SLOW_TICK_MS) / 1000));
  }

  #take(from: Socket, to: Socket, bytes: Buffer): void {
    if (from === this.#client) {
      this.request = /^([A-Z]+ [^ ?]+)\S* HTTP/.exec(bytes.toString('latin1', 0, 500))?.[1] ?? this.request;
    }
    if (this.#isHalfOpen) return;
    this.#waiting.push({ to, bytes });
    this.#flush();
  }

  #flush(): void {
    if (this.#timer !== undefined || this.#isHeld) return;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const isAnswer = next.to === this.#client;
      const limit = isAnswer ? Math.min(this.#bytesLeft, this.#bytesPerTick ?? this.#bytesLeft) : Infinity;
      const bytes = next.bytes.subarray(0, limit);
      if (!next.to.destroyed) next.to.write(bytes);
      if (isAnswer) this.#bytesLeft -= bytes.length;
      if (this.#bytesLeft <= 0) return this.cut();
      if (bytes.length === next.bytes.length) this.#waiting.shift();
      else next.bytes = next.bytes.subarray(bytes.length);
      if (isAnswer && this.#bytesPerTick !== undefined) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#flush();
        }, SLOW_TICK_MS);
        return;
      }
    }
  }

  #closed(other: Socket): void {
    clearTimeout(this.#timer);
    // The end of one side is not passed on through a pulled cable.
    if (!this.#isHalfOpen && !other.destroyed) other.destroySoon();
    if (this.#client.destroyed && this.#server.destroyed) this.#onEnd();
  }
}

/**
 * Starts a proxy to the server at `target`.
 *
 * @example
 * ```ts
 * await using proxy = await faultProxy(server.url);
 * proxy.connections().find(({ request }) => request === 'GET /global/event')?.cut();
 * ```
 */
export async function faultProxy(target: string, onPort = 0): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const connections = new Set<Connection>();
  let accepted = 0;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    accepted += 1;
    const upstream = connect({ host: hostname, port: Number(port), noDelay: true, allowHalfOpen: true });
    const connection: Connection = new Connection(client, upstream, () => connections.delete(connection));
    connections.add(connection);
    proxy.onConnection(connection);
  });
  server.listen(onPort, '127.0.0.1');
  await once(server, 'listening');
  let closed: Promise<void> | undefined;
  async function shutDown(): Promise<void> {
    const isClosed = once(server, 'close');
    server.close();
    for (const connection of connections) connection.cut();
    await isClosed;
  }
  const close = (): Promise<void> => (closed ??= shutDown());
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => [...connections],
    get accepted() {
      return accepted;
    },
    onConnection: () => undefined,
    close,
    [Symbol.asyncDispose]: close,
  };
  return proxy;
}
