import { assertOptions } from '../../core/checks.js';
import type { Logger } from '../../core/logger.js';
import {
  parsePermissionPolicy,
  parseQuestionPolicy,
  type PermissionPolicy,
  type QuestionPolicy,
} from '../asks/policy.js';
import type { AskOutcome } from '../asks/reply.js';
import type { AskBroker } from '../asks/broker.js';
import type { EventHub } from '../events/hub.js';
import { eventOptionChecks, type EventOptions, type EventStream } from '../events/event-stream.js';
import type { HttpRequest, Page } from '../http/request.js';
import { assertRequestOptions, parseInput, type RequestOptions } from '../http/request-options.js';
import { Paged } from '../http/paged.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { assertOwnChildren, assertOwner } from './own-session.js';
import { assertPathParam, route } from '../http/route.js';
import { permissionResponseSchema, type PermissionResponse } from '../schema/ask.js';
import type { EventType } from '../schema/event.js';
import { messageSchema, partSchema, type Message, type Part, type StoredMessage } from '../schema/message.js';
import {
  diffInputSchema,
  forkInputSchema,
  listMessagesInputSchema,
  revertInputSchema,
  summarizeInputSchema,
  updateSessionInputSchema,
  type CommandInput,
  type DiffInput,
  type ForkInput,
  type InitInput,
  type ListMessagesInput,
  type ModelRef,
  type PromptInput,
  type RevertInput,
  type ShellInput,
  type SummarizeInput,
  type UpdateSessionInput,
  type ZodFormat,
} from '../schema/prompt.js';
import type { Schema } from '../schema/wire.js';
import { booleanSchema } from '../schema/server.js';
import {
  fileDiffListSchema,
  sessionListSchema,
  sessionSchema,
  todoListSchema,
  type FileDiff,
  type SessionInfo,
  type Todo,
} from '../schema/session.js';
import { pagedEntries } from '../opencode2/paged-entries.js';
import type { SessionEntry } from '../opencode2/wire.js';
import { sendAbort, untilAnswering } from '../turns/abort.js';
import type { SessionChoices } from './choices.js';
import { chooseAnswerer } from './answerer.js';
import { DEFAULT_AGENT, readDefaultModel } from './default-model.js';
import { assertPart, readMessage, readMessagePage } from './messages.js';
import { readSession } from './read-session.js';
import type { SessionActivity } from './session-activity.js';
import { revertSession, unrevertSession, type ServerDisk } from './revert.js';
import { summarizeSession } from './summary.js';
import type { TurnContext } from '../turns/context.js';
import { assertAttachOptions, type TurnEngine } from '../turns/engine.js';
import { readLastResult } from '../turns/result/last-result.js';
import {
  choiceBody,
  commandRequest,
  initRequest,
  parseContext,
  promptRequest,
  shellRequest,
  type TurnRequest,
} from '../turns/request.js';
import type { AttachOptions, PromptOptions, Turn, TurnOptions } from '../turns/turn.js';
import { outputOf } from '../turns/result/result.js';
import type { ShellResult, TurnResult } from '../turns/result/turn-result.js';

const { sessionID: _sessionID, ...sessionEventChecks } = eventOptionChecks;

/** What a session needs of the repository it belongs to. */
export interface SessionContext {
  readonly transport: RepoTransport;
  readonly hub: EventHub;
  readonly turns: TurnEngine;
  readonly choices: SessionChoices;
  readonly serverDisk: ServerDisk;
  readonly asks: AskBroker;
  readonly activity: SessionActivity;
  readonly logger: Logger;
  /** The directory a session is known to belong to. */
  directoryOf(sessionID: string): string | undefined;
  /** Remembers the directory of a session. */
  readonly learn: (info: SessionInfo) => void;
  /** Forgets a session that was deleted. */
  forget(sessionID: string): void;
  /** Whether a session is the other one or a child of it. */
  readonly isWithin: (sessionID: string, rootID: string) => boolean;
  /** Holds the instance while a stream of the session's events is open; the returned function ends the hold. */
  readonly holdEvents: (sessionID: string) => () => void;
  readonly bindings: SessionBindings;
}

/** The jarvis sessions of the client. */
export interface SessionBindings {
  /**
   * The session that the jarvis session is bound to.
   *
   * @throws {TypeError} if it is no id.
   */
  get(jarvisSessionID: string): { readonly sessionID: string; readonly directory: string } | undefined;
  /** Reserves a jarvis session id until its session exists. */
  reserve(jarvisSessionID: string): { bind(session: Session): void; release(): void };
  /** Resolves when the creation of a session for the id has ended; `undefined` when none is under way. */
  creation(jarvisSessionID: string): Promise<void> | undefined;
}

/** One OpenCode session, which belongs to one repository for good. Make one with `repo.sessions`. */
export class Session {
  /** `ses_...`. */
  readonly id: string;
  /** The repository it belongs to. */
  readonly directory: string;
  readonly #context: SessionContext;
  #info: SessionInfo | undefined;

  /**
   * @internal
   * @throws {TypeError} if the id is invalid.
   * @throws {SessionDirectoryError} when the session is known to belong to another repository.
   */
  constructor(context: SessionContext, id: string, info?: SessionInfo) {
    // Refuses an id that cannot be part of a path now, not at the first request.
    assertPathParam(id);
    this.id = id;
    this.directory = context.transport.directory;
    this.#context = context;
    this.#info = info;
    this.#assertOwner(context.directoryOf(id));
  }

  /** The session as the server last sent it; `undefined` until the server has sent it once (see {@link refresh}). */
  get info(): SessionInfo | undefined {
    return this.#info;
  }

  /**
   * Who answers the permission requests of this session and its children, for every object of this session; `undefined`
   * leaves it to the repository or the client. A new policy applies to requests that come after it is set.
   *
   * @throws {TypeError} {@link RangeError} if the policy is invalid.
   */
  get permissionPolicy(): PermissionPolicy | undefined {
    return this.#context.asks.sessionPolicies(this.id).permission?.source;
  }

  set permissionPolicy(policy: PermissionPolicy | undefined) {
    const { asks } = this.#context;
    const permission = parsePermissionPolicy('permissionPolicy', policy);
    asks.setSessionPolicies(this.id, { ...asks.sessionPolicies(this.id), permission });
  }

  /** Who answers the questions of this session and its children, see {@link permissionPolicy}. */
  get questionPolicy(): QuestionPolicy | undefined {
    return this.#context.asks.sessionPolicies(this.id).question?.source;
  }

  set questionPolicy(policy: QuestionPolicy | undefined) {
    const { asks } = this.#context;
    const question = parseQuestionPolicy('questionPolicy', policy);
    asks.setSessionPolicies(this.id, { ...asks.sessionPolicies(this.id), question });
  }

  /**
   * Reads the session again, without loading the instance of another repository.
   *
   * @throws {SessionDirectoryError} when it belongs to another repository.
   * @throws {RequestError} with status 404 when it is gone.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async refresh(options?: RequestOptions): Promise<SessionInfo> {
    this.#assertOwner(this.#context.directoryOf(this.id));
    const info = await readSession(this.#context.transport, this.id, options);
    this.#context.learn(info);
    this.#assertOwner(info.directory);
    this.#info = info;
    return info;
  }

  /**
   * Prompts and waits for the answer, however long it takes. Turns of one session run one after the other, those of other clients
   * too, see {@link TurnOptions.whenBusy}.
   *
   * With a `format`, in the prompt or in the options, `result.structured` is the object that was asked for.
   *
   * @throws {TypeError} for an invalid prompt or format.
   * @throws {TurnError} when the turn ends without an answer, with reason `format` when the answer is not what `format`
   *   asked for.
   * @throws {SessionDirectoryError} when the session belongs to another repository; nothing is prompted then.
   * @throws {RequestError} with status 404 when it is gone.
   * @throws {TimeoutError} when it takes longer than `timeoutMs`, and the turn is aborted, or when it waits longer than
   *   `queueTimeoutMs` (phase `queue`), and nothing is sent.
   * @throws {ConnectionError} {@link ServerLostError} {@link ClosedError}
   */
  prompt<T>(
    input: string | PromptInput,
    options: PromptOptions & { readonly format: ZodFormat<T> },
  ): Promise<TurnResult<T>>;
  prompt<T>(
    input: PromptInput & { readonly format: ZodFormat<T> },
    options?: PromptOptions,
  ): Promise<TurnResult<T>>;
  prompt(input: string | PromptInput, options?: PromptOptions): Promise<TurnResult>;
  prompt(input: string | PromptInput, options?: PromptOptions): Promise<TurnResult> {
    return this.#turn(promptRequest(input, options?.format), options, false).result;
  }

  /**
   * Prompts and yields each step of the turn as it happens. `break` leaves the turn running; `turn.abort()` ends it.
   *
   * @throws {TypeError} for an invalid prompt or format. All other errors reject `turn.result`, see {@link prompt}.
   */
  stream<T>(input: string | PromptInput, options: PromptOptions & { readonly format: ZodFormat<T> }): Turn<T>;
  stream<T>(input: PromptInput & { readonly format: ZodFormat<T> }, options?: PromptOptions): Turn<T>;
  stream(input: string | PromptInput, options?: PromptOptions): Turn;
  stream(input: string | PromptInput, options?: PromptOptions): Turn {
    return this.#turn(promptRequest(input, options?.format), options, true);
  }

  /**
   * Runs one of the repository's commands (`/name` in OpenCode) as a turn.
   *
   * @throws {TurnError} with reason `failed` for a command that does not exist. See {@link prompt} for the rest.
   */
  command(input: CommandInput, options?: TurnOptions): Promise<TurnResult> {
    return this.#turn(commandRequest(input), options, false).result;
  }

  /**
   * Runs a command line in the server's shell as a turn without a model. The server does not report the exit code.
   *
   * @param input - the command line, or an object with it. Without an `agent` it is recorded in the name of the session's, as far as
   *   the client knows that, else of `build`.
   * @throws {RequestError} with status 409 while another client's turn runs and `whenBusy` is `join`. See {@link prompt} for the
   *   rest.
   */
  async shell(input: string | ShellInput, options?: TurnOptions): Promise<ShellResult> {
    const { agent = DEFAULT_AGENT } = this.#context.choices.of(this.id) ?? {};
    const request = shellRequest(typeof input === 'string' ? { command: input } : input, agent);
    const result = await this.#turn(request, options, false).result;
    return { ...result, output: outputOf(result) };
  }

  /**
   * Has the model study the repository and write its `AGENTS.md`, as a turn.
   *
   * @throws {TurnError} see {@link prompt}.
   */
  init(input: InitInput, options?: TurnOptions): Promise<TurnResult> {
    return this.#turn(initRequest(input), options, false).result;
  }

  /**
   * Stores a message that the model reads with the next prompt. It does not ask the model now, so it takes no `format`.
   *
   * @throws {TypeError} {@link SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  async addContext(input: string | Omit<PromptInput, 'format'>, options?: RequestOptions): Promise<Message> {
    const { agent, model, variant, ...prompt } = parseContext(input);
    const request = { choice: { agent, model, variant }, isCommand: false };
    const choice = await chooseAnswerer(this, this.#context, request, options);
    const json = { ...prompt, ...choiceBody(choice), noReply: true };
    return this.#send('POST', '/message', messageSchema, { json }, options);
  }

  /**
   * Lists the messages, oldest first; with `limit` the newest ones. Iterated, it walks through all of them from the newest
   * to the oldest, `limit` at a time.
   *
   * OpenCode 1.18.33 cannot send a list that reaches back to the beginning of a session and holds a prompt with a
   * `format`. This method then reads it in several requests; only the first message of the session, if it is such a
   * prompt, stays unreadable ({@link UnreadableMessage}).
   *
   * @throws {TypeError} {@link SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   * @throws {ResponseShapeError}
   */
  messages(input: ListMessagesInput = {}, options?: RequestOptions): Paged<StoredMessage> {
    assertRequestOptions(options);
    const { limit, before } = parseInput(listMessagesInputSchema, 'message filter', input);
    const read = async (cursor: string | undefined): Promise<Page<StoredMessage>> => {
      await this.verify(options);
      const window = { sessionID: this.id, limit, before: cursor ?? before };
      return readMessagePage(this.#context.transport, window, options);
    };
    return new Paged(read, (items) => items.toReversed());
  }

  /**
   * Lists the history as OpenCode 2 has it: prompts, one entry for each step of the model, the ends of executions, switches of the model
   * and whatever else is in it, oldest first; with `limit` the newest ones. Iterated, it walks through all of them from the newest to
   * the oldest. {@link messages} gives the same conversation in the form that both major versions have.
   *
   * @throws {UnsupportedOperationError} on OpenCode 1.
   * @throws {TypeError} {@link SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   * @throws {ResponseShapeError}
   */
  entries(input: ListMessagesInput = {}, options?: RequestOptions): Paged<SessionEntry> {
    assertRequestOptions(options);
    const { limit, before } = parseInput(listMessagesInputSchema, 'entry filter', input);
    const verify = (): Promise<void> => this.verify(options);
    return pagedEntries(this.#context.transport, { sessionID: this.id, limit, before, verify }, options);
  }

  /**
   * Reads one message with its parts, as far as OpenCode can send it (see {@link messages}).
   *
   * @throws {RequestError} with status 404 when there is none.
   * @throws {SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async message(messageID: string, options?: RequestOptions): Promise<StoredMessage> {
    await this.verify(options);
    return readMessage(this.#context.transport, this.id, messageID, options);
  }

  /**
   * Deletes one message with its parts.
   *
   * @throws {RequestError} with status 404 when there is none, 409 while the session is busy.
   * @throws {SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async deleteMessage(messageID: string, options?: RequestOptions): Promise<void> {
    // OpenCode 1.18.33 answers `true` also for a message that does not exist.
    await this.message(messageID, options);
    await this.#send('DELETE', route`/message/${messageID}`, booleanSchema, {}, options);
  }

  /**
   * Replaces one part of a message by `part`, which carries its ids.
   *
   * @throws {TypeError} if the part is invalid or belongs to another session.
   * @throws {RequestError} with status 404 when the session has no such message, or the message no such part.
   * @throws {SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async updatePart(part: Part, options?: RequestOptions): Promise<Part> {
    const json = parseInput(partSchema, 'part', part);
    const path = route`/message/${json.messageID}/part/${json.id}`;
    if (json.sessionID !== this.id) {
      throw new TypeError(`Invalid part: its sessionID is ${json.sessionID}, expected ${this.id}.`);
    }
    // OpenCode 1.18.33 replaces the part of that id in any session, and makes one if there is none.
    assertPart(await this.message(json.messageID, options), json.id);
    return this.#send('PATCH', path, partSchema, { json }, options);
  }

  /**
   * Deletes one part of a message.
   *
   * @throws {RequestError} with status 404 when the session has no such message, or the message no such part.
   * @throws {SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async deletePart(messageID: string, partID: string, options?: RequestOptions): Promise<void> {
    const path = route`/message/${messageID}/part/${partID}`;
    // OpenCode 1.18.33 answers `true` also for a message that does not exist.
    const message = await this.message(messageID, options);
    // The parts of an unreadable message are unknown.
    if (message.info.role !== 'unreadable') assertPart(message, partID);
    await this.#send('DELETE', path, booleanSchema, {}, options);
  }

  /**
   * Lists the sessions that this session's agents began, without those of other repositories.
   *
   * @throws {SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   * @throws {ResponseShapeError}
   */
  async children(options?: RequestOptions): Promise<Session[]> {
    const infos = await this.#send('GET', '/children', sessionListSchema, {}, options);
    // OpenCode 1.18.33 gives a session any parent that a request names, also one of another directory.
    return infos.filter(({ directory }) => directory === this.directory).map((info) => this.#own(info));
  }

  /**
   * Reads the agent's list of things to do.
   *
   * @throws {SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   * @throws {ResponseShapeError}
   */
  async todos(options?: RequestOptions): Promise<Todo[]> {
    return this.#send('GET', '/todo', todoListSchema, {}, options);
  }

  /**
   * Reads what a turn changed in the files.
   *
   * @throws {RequestError} with status 404 when the session has no such message.
   * @throws {TypeError} {@link SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async diff(input: DiffInput = {}, options?: RequestOptions): Promise<FileDiff[]> {
    const query = parseInput(diffInputSchema, 'diff filter', input);
    // OpenCode 1.18.33 answers an empty list for a message that does not exist.
    if (query.messageID !== undefined) await this.message(query.messageID, options);
    return this.#send('GET', '/diff', fileDiffListSchema, { query }, options);
  }

  /**
   * Copies the session, or its beginning, into a new one of the same repository. Works while it is busy.
   *
   * @throws {RequestError} with status 404 when the session has no such message, 500 when a prompt of the session had a
   *   `format`: OpenCode 1.18.33 cannot copy it.
   * @throws {TypeError} {@link SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async fork(input: ForkInput = {}, options?: RequestOptions): Promise<Session> {
    const json = parseInput(forkInputSchema, 'fork', input);
    // OpenCode 1.18.33 copies the whole session when the message does not exist.
    if (json.messageID !== undefined) await this.message(json.messageID, options);
    return this.#own(await this.#send('POST', '/fork', sessionSchema, { json }, options));
  }

  /**
   * Changes title, metadata, permission rules or the archive mark.
   *
   * @throws {TypeError} {@link SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   * @throws {ResponseShapeError}
   */
  async update(input: UpdateSessionInput, options?: RequestOptions): Promise<SessionInfo> {
    const json = parseInput(updateSessionInputSchema, 'session update', input);
    return this.#keep(await this.#send('PATCH', '', sessionSchema, { json }, options));
  }

  /**
   * Has a model replace the history by a summary, and resolves when the summary is stored. Node's own `fetch` gives up
   * on it after 300 s. A summary that fails leaves the history as it was.
   *
   * @param input - @default the session's own model, else the configured one
   * @throws {TurnError} when there is no summary: with reason `provider` and the `serverError` when the provider
   *   refused, `failed` when the summary is empty, `aborted` when it was aborted.
   * @throws {TypeError} for an invalid model, and when none is given and there is no default.
   * @throws {SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  async summarize(input?: SummarizeInput, options?: RequestOptions): Promise<void> {
    const given = input === undefined ? undefined : parseInput(summarizeInputSchema, 'summary', input);
    await this.verify(options);
    const json = given ?? (await this.#model(options));
    await summarizeSession(this.#context.transport, this.id, json, options);
  }

  /**
   * Takes back what was said and changed from a message on, files included, until {@link unrevert}.
   *
   * While its snapshots are locked, OpenCode 1.18.33 restores nothing, and deletes files when the session was reverted
   * before. On a server that this client started, it waits up to 2 s for the lock to go and else sends nothing. With
   * `connect()` the client does not know the data directory: it sees a lock only in the answer, and not at all when the
   * session was reverted before.
   *
   * @throws {RevertError} when nothing was reverted: there is no such message, or the snapshots are locked.
   * @throws {RequestError} with status 409 while the session is busy.
   * @throws {TypeError} {@link SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async revert(input: RevertInput, options?: RequestOptions): Promise<SessionInfo> {
    const json = parseInput(revertInputSchema, 'revert', input);
    await this.verify(options);
    const { transport, serverDisk } = this.#context;
    return this.#keep(await revertSession(transport, serverDisk, { sessionID: this.id, ...json }, options));
  }

  /**
   * Undoes {@link revert}.
   *
   * While its snapshots are locked, OpenCode 1.18.33 answers with success, forgets the revert and restores no file. On
   * a server that this client started, it waits up to 2 s for the lock to go and else sends nothing. With `connect()`
   * the client does not know the data directory and cannot see the lock: compare the files.
   *
   * @throws {RevertError} with reason `snapshot-locked`; the session stays reverted.
   * @throws {RequestError} with status 409 while the session is busy.
   * @throws {SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async unrevert(options?: RequestOptions): Promise<SessionInfo> {
    await this.verify(options);
    const { transport, serverDisk } = this.#context;
    return this.#keep(await unrevertSession(transport, serverDisk, this.id, options));
  }

  /**
   * Publishes the session; `info.share.url` tells where.
   *
   * @throws {RequestError} with status 500 on a server whose configuration forbids it (`share: "disabled"`).
   * @throws {SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async share(options?: RequestOptions): Promise<SessionInfo> {
    return this.#keep(await this.#send('POST', '/share', sessionSchema, {}, options));
  }

  /**
   * Takes a published session back.
   *
   * @throws {SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   * @throws {ResponseShapeError}
   */
  async unshare(options?: RequestOptions): Promise<SessionInfo> {
    return this.#keep(await this.#send('DELETE', '/share', sessionSchema, {}, options));
  }

  /**
   * Answers a permission request of this session or of a child of it. `repo.permissions.reply` also takes a message,
   * and answers any session of the repository. OpenCode 1.18.33 would take the id of any request here, so this method
   * first reads the pending ones.
   *
   * @returns `gone` when it is not pending here: unknown, answered, or of another session.
   * @throws {TypeError} {@link SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  async replyPermission(
    requestID: string,
    input: PermissionResponse,
    options?: RequestOptions,
  ): Promise<AskOutcome> {
    const { reply } = parseInput(permissionResponseSchema, 'permission reply', input);
    const json = { response: reply };
    const path = route`/permissions/${requestID}`;
    await this.verify(options);
    const { asks, isWithin } = this.#context;
    const pending = await asks.api.permissions(options);
    const request = pending.find(({ id }) => id === requestID);
    if (request === undefined) return 'gone';
    await asks.learnParents(request.sessionID, options);
    if (!isWithin(request.sessionID, this.id)) return 'gone';
    return asks.settle(requestID, () => this.#send('POST', path, booleanSchema, { json }, options));
  }

  /**
   * Aborts whatever the session is doing, also when another client started it. Does nothing when it is idle. To end
   * one turn and wait for its end, use `turn.abort()`.
   *
   * @throws {SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  async abort(options?: RequestOptions): Promise<void> {
    await this.verify(options);
    await untilAnswering(this.#context.transport, this.id, options);
    await sendAbort(this.#context.transport, this.id, options);
  }

  /**
   * Deletes the session, its children and its binding. It first aborts the session's work, because the server would let
   * it run on.
   *
   * @throws {SessionDirectoryError} also when a child of it, at any depth, belongs to another repository: OpenCode 1.18.33
   *   would delete that too. Nothing is deleted then.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async delete(options?: RequestOptions): Promise<void> {
    await this.verify(options);
    await assertOwnChildren(this.#context.transport, this.id, options);
    await this.abort(options);
    await this.#send('DELETE', '', booleanSchema, {}, options);
    this.#context.forget(this.id);
    this.#context.asks.forget(this.id);
  }

  /**
   * The turn that the session runs now, whoever prompted it: another client, or this application before a restart. `undefined` when
   * it is idle. The steps begin with what is stored of the turn, and go on live; permission requests and questions that wait are among
   * them. The result is judged as that of any turn. A turn that ends meanwhile is given whole, or not at all.
   *
   * OpenCode 1.18.33 stores a text when its part ends: the text that is being written when this is called comes as one step at the end
   * of its part, the texts after it piece by piece. Of children the steps begin with those at work now.
   *
   * @throws {RequestError} with status 404 when the session is gone.
   * @throws {SessionDirectoryError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError} {@link ClosedError}
   * @throws {TypeError} for an invalid option. What ends the turn without an answer rejects `turn.result`, see {@link prompt}.
   */
  async attach(options?: AttachOptions): Promise<Turn | undefined> {
    assertAttachOptions(options);
    await this.refresh({ signal: options?.signal });
    return this.#context.turns.attach(this.#turnContext(), options);
  }

  /**
   * Reads the result of the last turn that has ended, whoever prompted it, from the stored messages; `undefined` when there is none.
   * While a turn runs it is that of the turn before. A summary is no turn, and `structured` is as the model gave it.
   *
   * @throws {TurnError} when that turn ended without an answer.
   * @throws {SessionDirectoryError} {@link RequestError} {@link ConnectionError} {@link TimeoutError}
   * @throws {ResponseShapeError}
   */
  async lastResult(options?: RequestOptions): Promise<TurnResult | undefined> {
    await this.verify(options);
    return readLastResult(this.#context.transport, this.id, options);
  }

  /**
   * The events of this session.
   *
   * @throws {RepoPlacedError} when `fleet.place()` has given the repository to another server.
   */
  events<T extends EventType>(options?: Omit<EventOptions<T>, 'sessionID'>): EventStream<T> {
    assertOptions('session.events()', sessionEventChecks, options);
    const { hub, holdEvents, transport } = this.#context;
    transport.assertHere();
    return hub.stream(this.directory, { ...options, sessionID: this.id }, () => holdEvents(this.id));
  }

  /** @internal Makes sure that the session belongs to this repository. Asks the server if the client does not know. */
  async verify(options?: RequestOptions): Promise<void> {
    const owner = this.#context.directoryOf(this.id);
    if (owner === undefined) await this.refresh(options);
    else this.#assertOwner(owner);
  }

  #turn(request: TurnRequest, options: TurnOptions | undefined, collectSteps: boolean): Turn {
    return this.#context.turns.start({ context: this.#turnContext(), request, options, collectSteps });
  }

  #turnContext(): TurnContext {
    const { isWithin, activity } = this.#context;
    return {
      ...this.#context,
      sessionID: this.id,
      isIdle: (options) => activity.isIdle(this.id, options),
      isWithin: (sessionID) => isWithin(sessionID, this.id),
      prepare: (request, options) => chooseAnswerer(this, this.#context, request, options),
    };
  }

  /** The session's own model, else the configured one. */
  async #model(options: RequestOptions | undefined): Promise<ModelRef> {
    const { choices, transport } = this.#context;
    if (choices.of(this.id)?.model === undefined) await this.refresh(options);
    const model = choices.of(this.id)?.model ?? (await readDefaultModel(transport, options));
    if (model !== undefined) return { providerID: model.providerID, modelID: model.modelID };
    throw new TypeError('Invalid summary: the session has no model, and none is configured. Name one.');
  }

  /** Sends a request about this session, after making sure that it belongs to this repository. */
  async #send<T>(
    method: HttpRequest<T>['method'],
    suffix: string,
    schema: Schema<T>,
    carries: Pick<HttpRequest<T>, 'json' | 'query'>,
    options: RequestOptions | undefined,
  ): Promise<T> {
    await this.verify(options);
    const path = route`/session/${this.id}` + suffix;
    return this.#context.transport.send({ method, path, schema, ...carries }, options);
  }

  #keep(info: SessionInfo): SessionInfo {
    this.#context.learn(info);
    this.#info = info;
    return info;
  }

  #own(info: SessionInfo): Session {
    this.#context.learn(info);
    return sessionOf(this.#context, info);
  }

  #assertOwner(found: string | undefined): void {
    if (found !== undefined) assertOwner(this.id, this.directory, found);
  }
}

/** Stands outside of the class: a bundler renames a class that names itself. */
function sessionOf(context: SessionContext, info: SessionInfo): Session {
  return new Session(context, info.id, info);
}
