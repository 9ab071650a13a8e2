import { AbortScope, onAbort } from '../../core/abort.js';
import { assertOptions, type OptionChecks } from '../../core/checks.js';
import { ConnectionError, RequestError, TimeoutError } from '../../errors.js';
import type { AcceptedWork } from '../repo/accepted-work.js';
import type { Endpoint } from '../http/request.js';
import { wasRefused } from '../http/retry.js';
import {
  parseInput,
  parseTimeoutMs,
  requestOptionChecks,
  type RequestOptions,
} from '../http/request-options.js';
import { PtyConnection, type WebSocketConstructor, type WebSocketLike } from '../pty/connection.js';
import { directoryQuery, type RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import { ServerLink } from '../http/server-link.js';
import {
  createPtyInputSchema,
  ptyConnectTokenSchema,
  ptyCursorSchema,
  ptyListSchema,
  ptySchema,
  ptyShellListSchema,
  updatePtyInputSchema,
  type CreatePtyInput,
  type Pty,
  type PtyConnectToken,
  type PtyShell,
  type UpdatePtyInput,
} from '../schema/pty.js';
import { booleanSchema } from '../schema/server.js';
import { RepoResource } from './repo-resource.js';

/** Holds the instance while the server makes a terminal. */
type Opening = Pick<AcceptedWork, 'accepted' | 'over'>;

/** What it takes to connect to terminals. */
export interface PtySockets {
  /** Loads the WebSocket class; `undefined` where there is none. */
  readonly loadWebSocket: () => Promise<WebSocketConstructor | undefined>;
  /** Where the server is now. */
  readonly endpoint: () => Endpoint;
  /** Ends every connection. */
  readonly closed?: AbortSignal | undefined;
  /** Reports the end of the server. @default the end is never reported */
  readonly link?: ServerLink | undefined;
}

/** Options of {@link PtyResource.connect}. */
export interface PtyConnectOptions {
  /**
   * The position in the output after which to begin, as {@link PtyConnection.cursor} gives it; 0 for all output that
   * the server keeps (the last 2,097,152 UTF-16 code units), -1 for new output only.
   *
   * @default 0
   */
  readonly cursor?: number | undefined;
  /** Cancels connecting with the signal's own reason; later it ends the connection quietly. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the connection is open; `false` for no limit. @default 60_000 */
  readonly timeoutMs?: number | false | undefined;
}

const connectOptionChecks: OptionChecks<PtyConnectOptions> = {
  cursor: (name, value) => void parseInput(ptyCursorSchema, name, value),
  signal: requestOptionChecks.signal,
  timeoutMs: requestOptionChecks.timeoutMs,
};

const OPEN_TIMEOUT_MS = 60_000;

/**
 * The terminals of one repository. A running terminal holds the instance: it survives idleness, but not a disposal. A
 * terminal of another repository does not exist here (status 404).
 */
export class PtyResource extends RepoResource {
  readonly #sockets: PtySockets;
  readonly #keepUntilOpen: () => Opening;

  /**
   * @internal
   * @param keepUntilOpen - holds the instance until an event shows the terminal that is being made.
   */
  constructor(transport: RepoTransport, sockets: PtySockets, keepUntilOpen: () => Opening) {
    super(transport);
    this.#sockets = sockets;
    this.#keepUntilOpen = keepUntilOpen;
  }

  /**
   * Lists the terminals whose process runs. A terminal disappears when its process ends.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<Pty[]> {
    return this.transport.send({ method: 'GET', path: '/pty', schema: ptyListSchema }, options);
  }

  /**
   * Starts a process in a new terminal.
   *
   * @throws {RequestError} with status 500 when the command cannot be started.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async create(input: CreatePtyInput = {}, options?: RequestOptions): Promise<Pty> {
    const json = parseInput(createPtyInputSchema, 'terminal', input);
    let opening: Opening | undefined;
    const onSend = (): void => {
      opening ??= this.#keepUntilOpen();
    };
    try {
      const request = { method: 'POST', path: '/pty', json, schema: ptySchema, onSend } as const;
      const pty = await this.transport.send(request, options);
      opening?.accepted();
      return pty;
    } catch (error) {
      // The request may have arrived even if its caller has given up, so only a refused connection ends the hold.
      if (error instanceof RequestError || wasRefused(error)) opening?.over();
      else opening?.accepted();
      throw error;
    }
  }

  /**
   * Reads one terminal.
   *
   * @throws {RequestError} with status 404 when it is gone, or of another repository.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async get(ptyID: string, options?: RequestOptions): Promise<Pty> {
    return this.transport.send({ method: 'GET', path: route`/pty/${ptyID}`, schema: ptySchema }, options);
  }

  /**
   * Changes the title or the size of a terminal.
   *
   * @throws {RequestError} with status 404 when it is gone, or of another repository.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async update(ptyID: string, input: UpdatePtyInput, options?: RequestOptions): Promise<Pty> {
    const json = parseInput(updatePtyInputSchema, 'terminal', input);
    return this.transport.send(
      { method: 'PUT', path: route`/pty/${ptyID}`, json, schema: ptySchema },
      options,
    );
  }

  /**
   * Ends a terminal and its process; connections to it close.
   *
   * @throws {RequestError} with status 404 when it is gone already, or of another repository.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async remove(ptyID: string, options?: RequestOptions): Promise<void> {
    await this.transport.send(
      { method: 'DELETE', path: route`/pty/${ptyID}`, schema: booleanSchema },
      options,
    );
  }

  /**
   * Lists the shells on the server's machine.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  shells(options?: RequestOptions): Promise<PtyShell[]> {
    return this.transport.send({ method: 'GET', path: '/pty/shells', schema: ptyShellListSchema }, options);
  }

  /**
   * Makes a ticket with which somebody else, e.g. a web page, may open `/pty/{id}/connect?ticket=...` once, without the
   * password. {@link connect} makes its own.
   *
   * @throws {RequestError} with status 404 when the terminal is gone, or of another repository.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async connectToken(ptyID: string, options?: RequestOptions): Promise<PtyConnectToken> {
    const headers = { ...options?.headers, 'x-opencode-ticket': '1' };
    return this.transport.send(
      { method: 'POST', path: route`/pty/${ptyID}/connect-token`, schema: ptyConnectTokenSchema },
      { ...options, headers },
    );
  }

  /**
   * Connects to a terminal and resolves when the connection is open. One terminal takes any number of connections,
   * which all see the same. An open connection holds the instance.
   *
   * @throws {TypeError} where there is no WebSocket.
   * @throws {RequestError} with status 404 when the terminal is gone, or of another repository.
   * @throws {ConnectionError} when the connection is refused or lost.
   * @throws {ServerLostError} when the server ends while connecting.
   * @throws {TimeoutError} {@link ResponseShapeError}
   */
  async connect(ptyID: string, options: PtyConnectOptions = {}): Promise<PtyConnection> {
    const path = route`/pty/${ptyID}/connect`;
    assertOptions('pty.connect()', connectOptionChecks, options);
    const { cursor } = options;
    const timeoutMs = parseTimeoutMs('timeoutMs', options.timeoutMs, OPEN_TIMEOUT_MS);
    const { closed, link = new ServerLink(false) } = this.#sockets;
    const webSocket = await this.#loadWebSocket();
    const target = { method: 'GET', path };
    const scope = new AbortScope([options.signal, closed], {
      timeoutMs,
      reason: (limitMs) => new TimeoutError(`GET ${path}`, { phase: 'request', timeoutMs: limitMs }),
    });
    const { signal } = scope;
    let release = (): void => undefined;
    let detachLost = (): void => undefined;
    const letGo = (): void => {
      scope.end();
      detachLost();
      release();
    };
    try {
      signal.throwIfAborted();
      release = await this.transport.acquire('request', `GET ${path}`, signal);
      const { ticket } = await this.connectToken(ptyID, { signal, timeoutMs: false });
      signal.throwIfAborted();
      const { lost } = link;
      const socket = this.#open(webSocket, path, cursor, ticket);
      const connection = new PtyConnection({
        ptyID,
        target,
        socket,
        hasServerEnded: () => link.hasEnded(lost, signal),
        release: letGo,
        resize: async (size, resizeOptions) => {
          await this.update(ptyID, { size }, resizeOptions);
        },
      });
      await connection.open(signal);
      onAbort(signal, () => void connection.close());
      detachLost = onAbort(lost, () => connection.lose());
      return connection;
    } catch (error) {
      letGo();
      throw error;
    } finally {
      scope.unlimit();
    }
  }

  async #loadWebSocket(): Promise<WebSocketConstructor> {
    const missing = (cause?: unknown): TypeError =>
      new TypeError(
        'Connecting to a terminal needs a WebSocket, and there is no globalThis.WebSocket here. ' +
          'Pass one as the option webSocket, e.g. that of the package ws.',
        cause === undefined ? undefined : { cause },
      );
    const webSocket = await this.#sockets.loadWebSocket().catch((cause: unknown) => {
      // E.g. a bundle that left the package out, or cannot run it.
      throw missing(cause);
    });
    if (webSocket === undefined) throw missing();
    return webSocket;
  }

  #open(
    webSocket: WebSocketConstructor,
    path: string,
    cursor: number | undefined,
    ticket: string,
  ): WebSocketLike {
    const query = new URLSearchParams({ directory: directoryQuery(this.transport.directory), ticket });
    if (cursor !== undefined) query.set('cursor', String(cursor));
    const origin = this.#sockets.endpoint().url.replace(/^http/, 'ws');
    try {
      // Encodes a space as `%20`, because not every server reads a plus as one.
      return new webSocket(`${origin}${path}?${query.toString().replaceAll('+', '%20')}`);
    } catch (cause) {
      throw new ConnectionError({ method: 'GET', path }, { cause });
    }
  }
}
