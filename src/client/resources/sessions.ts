import { abortable } from '../../core/abort.js';
import { aString, assertOptions, type OptionChecks } from '../../core/checks.js';
import { SingleFlight } from '../../core/single-flight.js';
import { parseInput, requestOptionChecks, type RequestOptions } from '../http/request-options.js';
import { directoryQuery, type RepoTransport } from '../http/repo-transport.js';
import { readStatuses } from '../sessions/statuses.js';
import { assertOwner, assertOwnSession } from '../sessions/own-session.js';
import {
  createSessionInputSchema,
  listSessionsInputSchema,
  type CreateSessionInput,
  type ListSessionsInput,
} from '../schema/prompt.js';
import { sessionListSchema, sessionSchema, type SessionInfo, type SessionStatus } from '../schema/session.js';
import { Session, type SessionContext } from '../sessions/session.js';
import { RepoResource } from './repo-resource.js';

/** Options of {@link SessionsResource.create}. */
export interface CreateSessionOptions extends RequestOptions {
  /** Binds the new session to this jarvis session in the same step. */
  readonly jarvisSessionID?: string | undefined;
}

const createOptionChecks: OptionChecks<CreateSessionOptions> = {
  ...requestOptionChecks,
  jarvisSessionID: aString,
};

/** How many sessions OpenCode 1.18.33 lists when the request names no limit. */
const DEFAULT_LIMIT = 100;
/** More than a project has. */
const MAX_LISTED = 1_000_000;

/** The sessions of one repository. */
export class SessionsResource extends RepoResource {
  readonly #context: SessionContext;
  /** The sessions that {@link open} is making, by jarvis session. */
  readonly #opening = new SingleFlight<Session>();

  /** @internal */
  constructor(transport: RepoTransport, context: SessionContext) {
    super(transport);
    this.#context = context;
  }

  /**
   * Creates a session in this repository.
   *
   * @throws {SessionAlreadyBoundError} when `jarvisSessionID` is bound already; nothing is sent then.
   * @throws {SessionDirectoryError} when the parent belongs to another repository; nothing is created then.
   * @throws {RequestError} with status 404 when there is no such parent.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async create(input: CreateSessionInput = {}, options: CreateSessionOptions = {}): Promise<Session> {
    assertOptions('sessions.create()', createOptionChecks, options);
    const json = parseInput(createSessionInputSchema, 'session', input);
    const { jarvisSessionID, ...requestOptions } = options;
    const reservation =
      jarvisSessionID === undefined ? undefined : this.#context.bindings.reserve(jarvisSessionID);
    try {
      // OpenCode 1.18.33 takes any parent, also one of another directory.
      if (json.parentID !== undefined) {
        await assertOwnSession(this.transport, this.#context, json.parentID, requestOptions);
      }
      const info = await this.transport.send(
        { method: 'POST', path: '/session', json, schema: sessionSchema },
        requestOptions,
      );
      const session = this.#own(info);
      reservation?.bind(session);
      return session;
    } finally {
      reservation?.release();
    }
  }

  /**
   * The session of a conversation: the one that the jarvis session is bound to, or a new one that is bound to it. However many callers
   * ask at once, also while `create()` makes it, one session is made; if that fails, all of them get the error, and the next call
   * tries again.
   *
   * @param jarvisSessionID - the id of the conversation in the application.
   * @param input - used when a session is made.
   * @param options - of the first caller, when a session is made; `signal` ends the waiting of its own caller.
   * @throws {SessionDirectoryError} when the jarvis session is bound to a session of another repository.
   * @throws {TypeError} if an argument is invalid. See {@link create} for the rest.
   */
  async open(
    jarvisSessionID: string,
    input: CreateSessionInput = {},
    options: RequestOptions = {},
  ): Promise<Session> {
    assertOptions('sessions.open()', requestOptionChecks, options);
    parseInput(createSessionInputSchema, 'session', input);
    const { signal, ...requestOptions } = options;
    const { bindings } = this.#context;
    for (;;) {
      signal?.throwIfAborted();
      const bound = bindings.get(jarvisSessionID);
      if (bound !== undefined) {
        assertOwner(bound.sessionID, this.transport.directory, bound.directory);
        return this.session(bound.sessionID);
      }
      // Someone else makes it: create(), or open() of another repository, whose failure is not ours.
      const creation = this.#opening.has(jarvisSessionID) ? undefined : bindings.creation(jarvisSessionID);
      if (creation === undefined) {
        const make = (abandoned: AbortSignal): Promise<Session> =>
          this.create(input, { ...requestOptions, signal: abandoned, jarvisSessionID });
        return this.#opening.run(jarvisSessionID, make, signal);
      }
      await abortable(creation, signal);
    }
  }

  /**
   * Lists this directory's sessions, newest updated first. Other clones and worktrees of the same project are left out.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async list(input: ListSessionsInput = {}, options?: RequestOptions): Promise<Session[]> {
    const filter = parseInput(listSessionsInputSchema, 'session filter', input);
    const { directory } = this.transport;
    // With a path OpenCode 1.18.33 lists the sessions of the whole project there, and the limit would count them all.
    const isMixed = filter.path !== undefined;
    const { limit = DEFAULT_LIMIT } = filter;
    const infos = await this.transport.send(
      {
        method: 'GET',
        path: '/session',
        // With the header alone the server lists the whole project.
        query: {
          ...filter,
          ...(isMixed && { limit: MAX_LISTED }),
          directory: directoryQuery(directory),
        },
        schema: sessionListSchema,
      },
      options,
    );
    const own = infos.filter((info) => info.directory === directory);
    return own.slice(0, limit).map((info) => this.#own(info));
  }

  /**
   * Reads one session.
   *
   * @throws {SessionDirectoryError} when it belongs to another repository.
   * @throws {RequestError} with status 404 when there is none.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async get(sessionID: string, options?: RequestOptions): Promise<Session> {
    const session = this.session(sessionID);
    await session.refresh(options);
    return session;
  }

  /**
   * Makes the session with this id, without a request: its first use finds out whether it exists and belongs to this
   * repository.
   *
   * @throws {SessionDirectoryError} when it is already known to belong to another repository.
   */
  session(sessionID: string): Session {
    return new Session(this.#context, sessionID);
  }

  /**
   * Reads what the sessions of this directory are doing, by session id. Idle sessions are absent.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<Record<string, SessionStatus>> {
    return readStatuses(this.transport, options);
  }

  #own(info: SessionInfo): Session {
    assertOwner(info.id, this.transport.directory, info.directory);
    this.#context.learn(info);
    return new Session(this.#context, info.id, info);
  }
}
