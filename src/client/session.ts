import { SessionDirectoryError } from '../errors.js';
import type { EventHub } from './events/hub.js';
import type { EventOptions, EventStream } from './events/event-stream.js';
import { parseInput, type RequestOptions } from './options.js';
import type { RepoTransport } from './repo-transport.js';
import { route } from './route.js';
import type { EventType } from './schema/event.js';
import { messageListSchema, messageSchema, type Message } from './schema/message.js';
import { listMessagesInputSchema, type ListMessagesInput, type PromptInput } from './schema/prompt.js';
import { booleanSchema } from './schema/server.js';
import { sessionSchema, type SessionInfo } from './schema/session.js';
import type { TurnEngine } from './turn-engine.js';
import type { Turn, TurnOptions, TurnResult } from './turn.js';

/** What a session needs of the repository it belongs to. */
export interface SessionContext {
  readonly transport: RepoTransport;
  readonly hub: EventHub;
  readonly turns: TurnEngine;
  /** The directory a session is known to belong to. */
  directoryOf(sessionID: string): string | undefined;
  /** Remembers where a session belongs. */
  learn(info: SessionInfo): void;
  /** Forgets a session that was deleted. */
  forget(sessionID: string): void;
  /** Whether a session is the other one or a child of it. */
  isWithin(sessionID: string, rootID: string): boolean;
  /** Takes a jarvis session id until its session exists. */
  reserve(jarvisSessionID: string): { bind(session: Session): void; release(): void };
}

/** One OpenCode session, which belongs to one repository for good. Make one with `repo.sessions`. */
export class Session {
  /** `ses_…`. */
  readonly id: string;
  /** The repository it belongs to. */
  readonly directory: string;
  readonly #context: SessionContext;
  #info: SessionInfo | undefined;

  /**
   * @internal
   * @throws {TypeError} for an id that is no id.
   * @throws {SessionDirectoryError} when the session is known to belong to another repository.
   */
  constructor(context: SessionContext, id: string, info?: SessionInfo) {
    // Refuses what cannot be part of a path now, not at the first request.
    void route`/${id}`;
    this.id = id;
    this.directory = context.transport.directory;
    this.#context = context;
    this.#info = info;
    this.#assertOwner(context.directoryOf(id));
  }

  /** The session as the server last sent it; `undefined` until something was read (see {@link refresh}). */
  get info(): SessionInfo | undefined {
    return this.#info;
  }

  /**
   * Reads the session again.
   *
   * @throws {SessionDirectoryError} when it belongs to another repository.
   * @throws {RequestError} with status 404 when it is gone.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async refresh(options?: RequestOptions): Promise<SessionInfo> {
    this.#assertOwner(this.#context.directoryOf(this.id));
    const info = await this.#context.transport.send(
      { method: 'GET', path: route`/session/${this.id}`, schema: sessionSchema },
      options,
    );
    this.#context.learn(info);
    this.#assertOwner(info.directory);
    this.#info = info;
    return info;
  }

  /**
   * Prompts and waits for the answer, however long it takes. Turns of one session run one after the other.
   *
   * @throws {TurnError} when the turn ends without an answer.
   * @throws {SessionDirectoryError} when the session belongs to another repository; nothing is prompted then.
   * @throws {RequestError} with status 404 when it is gone.
   * @throws {TimeoutError} when it takes longer than `timeoutMs`; the turn is aborted.
   * @throws {ConnectionError} {@link ServerLostError} {@link ClosedError}
   */
  prompt(input: string | PromptInput, options?: TurnOptions): Promise<TurnResult> {
    return this.#context.turns.start(this.#context, this, input, options, { collectSteps: false }).result;
  }

  /**
   * Prompts and yields what happens while it happens. `break` leaves the turn running; `turn.abort()` ends it.
   *
   * @throws {TypeError} for an invalid prompt. All else rejects `turn.result`, see {@link prompt}.
   */
  stream(input: string | PromptInput, options?: TurnOptions): Turn {
    return this.#context.turns.start(this.#context, this, input, options, { collectSteps: true });
  }

  /**
   * Lists the messages, oldest first; with `limit` the newest ones.
   *
   * @throws {SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   * @throws {ResponseShapeError}
   */
  async messages(input: ListMessagesInput = {}, options?: RequestOptions): Promise<Message[]> {
    const query = parseInput(listMessagesInputSchema, 'message filter', input);
    await this.verify(options);
    return this.#context.transport.send(
      { method: 'GET', path: route`/session/${this.id}/message`, query, schema: messageListSchema },
      options,
    );
  }

  /**
   * Reads one message with its parts.
   *
   * @throws {RequestError} with status 404 when there is none.
   * @throws {SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async message(messageID: string, options?: RequestOptions): Promise<Message> {
    const path = route`/session/${this.id}/message/${messageID}`;
    await this.verify(options);
    return this.#context.transport.send({ method: 'GET', path, schema: messageSchema }, options);
  }

  /**
   * Aborts whatever the session is doing, also when another client started it. Does nothing when it is idle. To end
   * one turn and wait for its end, use `turn.abort()`.
   *
   * @throws {SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  async abort(options?: RequestOptions): Promise<void> {
    await this.verify(options);
    await this.#context.transport.send(
      { method: 'POST', path: route`/session/${this.id}/abort`, schema: booleanSchema },
      options,
    );
  }

  /**
   * Deletes the session, its children and its binding. What it is doing is aborted first, because the server would let
   * it run on.
   *
   * @throws {SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  async delete(options?: RequestOptions): Promise<void> {
    await this.abort(options);
    await this.#context.transport.send(
      { method: 'DELETE', path: route`/session/${this.id}`, schema: booleanSchema },
      options,
    );
    this.#context.forget(this.id);
  }

  /** The events of this session. */
  events<T extends EventType>(options?: Omit<EventOptions<T>, 'sessionID'>): EventStream<T> {
    return this.#context.hub.stream(this.directory, { ...options, sessionID: this.id });
  }

  /** @internal Makes sure that the session is of this repository, asking the server if nobody knows. */
  async verify(options?: RequestOptions): Promise<void> {
    const owner = this.#context.directoryOf(this.id);
    if (owner === undefined) await this.refresh(options);
    else this.#assertOwner(owner);
  }

  #assertOwner(found: string | undefined): void {
    if (found === undefined || found === this.directory) return;
    throw new SessionDirectoryError({ sessionID: this.id, expected: this.directory, found });
  }
}
