import { AbortScope } from '../../core/abort.js';
import { aBoolean, aFunction, aString, assertOptions, type OptionChecks } from '../../core/checks.js';
import { realTime } from '../../core/real-time.js';
import { RequestError, ResponseShapeError, TimeoutError } from '../../errors.js';
import { AcceptedWork, terminalOpens } from './accepted-work.js';
import type { DisposeResult, RepoStats } from '../../core/instance.js';
import type { EventHub } from '../events/hub.js';
import type { EventOptions, EventStream } from '../events/event-stream.js';
import type { Http } from '../http/http.js';
import {
  assertRequestOptions,
  requestOptionChecks,
  type FetchFunction,
  type RequestOptions,
} from '../http/request-options.js';
import { createRepoFetch, REPO_BASE_URL } from './fetch.js';
import { useOptionChecks, type UseContext, type UseOptions } from './use.js';
import { assertOwnSession } from '../sessions/own-session.js';
import type { RunAsDisposal, RepoTransport } from '../http/repo-transport.js';
import { AgentsResource } from '../resources/agents.js';
import { CommandsResource } from '../resources/commands.js';
import { ConfigResource } from '../resources/config.js';
import { FilesResource } from '../resources/files.js';
import { FindResource } from '../resources/find.js';
import { FormatterResource } from '../resources/formatter.js';
import type { GlobalResource } from '../resources/global.js';
import { LogResource } from '../resources/log.js';
import { LspResource } from '../resources/lsp.js';
import { McpResource } from '../resources/mcp.js';
import { PermissionsResource } from '../resources/permissions.js';
import { ProjectResource } from '../resources/project.js';
import { ProvidersResource } from '../resources/providers.js';
import { PtyResource, type PtySockets } from '../resources/pty.js';
import { QuestionsResource } from '../resources/questions.js';
import { SessionsResource } from '../resources/sessions.js';
import { SkillsResource } from '../resources/skills.js';
import { ToolsResource } from '../resources/tools.js';
import { TuiResource } from '../resources/tui.js';
import { VcsResource } from '../resources/vcs.js';
import { WorktreesResource, type WorktreeContext } from '../resources/worktrees.js';
import type { Config } from '../schema/config.js';
import type { EventType } from '../schema/event.js';
import { pathInfoSchema, type PathInfo } from '../schema/server.js';
import type { PromptInput, ZodFormat } from '../schema/prompt.js';
import type { Session, SessionContext } from '../sessions/session.js';
import { promptOptionChecks } from '../turns/engine.js';
import { promptRequest } from '../turns/request.js';
import { WAITS_FOR } from '../turns/run/run-state.js';
import type { PromptOptions } from '../turns/turn.js';
import type { TurnResult } from '../turns/result/turn-result.js';
import { anything } from '../schema/wire.js';

/** What a repository's client needs of the registry and the disposer. */
export interface RepoControl {
  hold(kind: 'lease' | 'subscription' | 'request', reason: string): () => void;
  /** Holds the instance for a turn and what belongs to it. @throws {ClosedError} while draining, unless a `use()` runs. */
  holdTurn(detail: string): () => void;
  stats(): RepoStats;
  use<T>(work: (context: UseContext) => T | PromiseLike<T>, options?: UseOptions): Promise<T>;
  dispose(options?: DisposeOptions): Promise<DisposeResult>;
  readonly runAsDisposal: RunAsDisposal;
  /** The guarded calls that concern every repository. */
  readonly global: Pick<GlobalResource, 'dispose' | 'config'>;
  readonly sockets: PtySockets;
  readonly worktrees: WorktreeContext<RepoClient>;
}

/** Options of {@link RepoClient.dispose}. */
export interface DisposeOptions extends RequestOptions {
  /**
   * Disposes the instance whatever holds it: aborts the work of its sessions, whoever started it, and waits up to 10 s for
   * that to end; then lets requests under way end within 2 s, and disposes. Terminals are closed.
   *
   * @default false
   */
  readonly force?: boolean | undefined;
}

/** Options of {@link RepoClient.prompt}. */
export interface OneShotOptions extends PromptOptions {
  /** Keeps the session, whose id is `result.sessionID`. @default false */
  readonly keep?: boolean | undefined;
}

const oneShotOptionChecks: OptionChecks<OneShotOptions> = { ...promptOptionChecks, keep: aBoolean };

/** How long the deletion of a session that was made for one question may delay its answer. */
const DELETE_LIMIT_MS = 10_000;

/** The check of each option of a disposal. */
export const disposeOptionChecks: OptionChecks<DisposeOptions> = { ...requestOptionChecks, force: aBoolean };

/**
 * The requests that make OpenCode 1.18.33 load what the first prompt of an instance needs and `GET /path` does not
 * load.
 */
const LATER_STEPS = ['/mcp', '/config/providers', '/pty'] as const;

/** The client of one repository: every request, list and event is pinned to its directory. Make one with `forRepo`. */
export class RepoClient {
  /** The canonical absolute path. */
  readonly directory: string;
  /** The base URL to give another client, together with {@link RepoClient.fetch}. It never changes. */
  readonly baseUrl = REPO_BASE_URL;
  /**
   * A `fetch` for other clients of OpenCode, such as the official SDK: `createOpencodeClient({ baseUrl: repo.baseUrl, fetch:
   * repo.fetch })`. Requests below {@link baseUrl} go to this repository, whatever directory they name; they carry the
   * credentials, hold the instance until their answer is read, and wait while it is being disposed.
   *
   * It takes a request in any spelling that OpenCode takes, looks it up in the table of operations of the server's version, for which
   * it starts one that sleeps, and sends it in its canonical form. It refuses an operation that would reach beyond the repository or that this library does not know.
   * `GET /event` and `GET /global/event` are answered from the client's own event stream, with this repository's events
   * only, from where a subscription of its own would begin. Calls that make the server dispose instances (`POST
   * /instance/dispose`, `PATCH /config`, `POST /global/dispose`, `PATCH /global/config`, `POST /project/git/init`) are
   * answered with status 409 and the holds while something holds one. Work that the server has accepted and not begun
   * holds the instance for up to 20 s.
   *
   * @throws {TypeError} for a URL that is not below `baseUrl`, or has credentials, and a body that should be JSON and is not.
   * @throws {OperationRefusedError} for an operation that would reach beyond the repository or is unknown; nothing is
   *   sent then. Also for a message or part id in a prompt that belongs, or may belong, to another session: the library
   *   looks for a message id in up to 2,000 sessions of other directories.
   * @throws {SessionDirectoryError} for a session of another repository; nothing is sent then.
   */
  readonly fetch: FetchFunction;
  readonly agents: AgentsResource;
  readonly commands: CommandsResource;
  readonly config: ConfigResource;
  readonly files: FilesResource;
  readonly find: FindResource;
  readonly formatter: FormatterResource;
  readonly log: LogResource;
  readonly lsp: LspResource;
  readonly mcp: McpResource;
  readonly permissions: PermissionsResource;
  readonly project: ProjectResource;
  readonly providers: ProvidersResource;
  readonly pty: PtyResource;
  readonly questions: QuestionsResource;
  readonly sessions: SessionsResource;
  readonly skills: SkillsResource;
  readonly tools: ToolsResource;
  readonly tui: TuiResource;
  readonly vcs: VcsResource;
  readonly worktrees: WorktreesResource<RepoClient>;
  readonly #transport: RepoTransport;
  readonly #hub: EventHub;
  readonly #control: RepoControl;

  /** @internal */
  constructor(http: Http, context: SessionContext, control: RepoControl) {
    this.#transport = context.transport;
    this.#hub = context.hub;
    this.#control = control;
    this.directory = context.transport.directory;
    this.fetch = createRepoFetch({
      http,
      hub: context.hub,
      transport: context.transport,
      hold: (detail) => control.hold('request', detail),
      verify: (sessionID, signal) => assertOwnSession(context.transport, context, sessionID, { signal }),
      projectID: async (signal) => (await this.project.current({ signal })).id,
      guarded: {
        dispose: async (signal) => void (await control.dispose({ signal })),
        updateConfig: (signal, config) => this.config.update(config as Config, { signal }),
        initGit: (signal) => this.project.initGit({ signal }),
        disposeAll: (signal) => control.global.dispose({ signal }),
        updateGlobalConfig: (signal, config) => control.global.config.update(config as Config, { signal }),
      },
    });
    this.agents = new AgentsResource(context.transport);
    this.commands = new CommandsResource(context.transport);
    this.config = new ConfigResource(context.transport, control.runAsDisposal);
    this.files = new FilesResource(context.transport);
    this.find = new FindResource(context.transport);
    this.formatter = new FormatterResource(context.transport);
    this.log = new LogResource(context.transport);
    this.lsp = new LspResource(context.transport);
    this.mcp = new McpResource(context.transport);
    this.permissions = new PermissionsResource(context.asks);
    this.project = new ProjectResource(context.transport, control.runAsDisposal);
    this.providers = new ProvidersResource(context.transport);
    this.pty = new PtyResource(
      context.transport,
      control.sockets,
      () =>
        new AcceptedWork(
          {
            hub: context.hub,
            directory: this.directory,
            closed: http.closed,
            hold: () => control.hold('request', 'POST /pty'),
          },
          terminalOpens,
        ),
    );
    this.questions = new QuestionsResource(context.asks);
    this.sessions = new SessionsResource(context.transport, context);
    this.skills = new SkillsResource(context.transport);
    this.tools = new ToolsResource(context.transport);
    this.tui = new TuiResource(context.transport, context);
    this.vcs = new VcsResource(context.transport);
    this.worktrees = new WorktreesResource(context.transport, control.worktrees);
  }

  /**
   * This repository's events, and the library's own `jarvis.*`. A subscription does not load the instance, and keeps it only
   * with `hold`.
   *
   * @throws {RangeError} for an invalid `bufferSize`.
   * @throws {RepoPlacedError} when `fleet.place()` has given the repository to another server.
   */
  events<T extends EventType>(options?: EventOptions<T>): EventStream<T> {
    this.#transport.assertHere();
    return this.#hub.stream(this.directory, options, () => this.#control.hold('subscription', 'events()'));
  }

  /**
   * Asks one question: makes a session, prompts it, and deletes it when the turn has ended, unless `keep` is set. `queueTimeoutMs`
   * counts from this call, so it bounds the making of the session too.
   *
   * @throws {TurnError} when the turn ends without an answer. See `session.prompt()` and `sessions.create()` for the rest. A session
   *   that cannot be deleted is left, and no error.
   */
  prompt<T>(
    input: string | PromptInput,
    options: OneShotOptions & { readonly format: ZodFormat<T> },
  ): Promise<TurnResult<T>>;
  prompt<T>(
    input: PromptInput & { readonly format: ZodFormat<T> },
    options?: OneShotOptions,
  ): Promise<TurnResult<T>>;
  prompt(input: string | PromptInput, options?: OneShotOptions): Promise<TurnResult>;
  async prompt(input: string | PromptInput, options: OneShotOptions = {}): Promise<TurnResult> {
    assertOptions('repo.prompt()', oneShotOptionChecks, options);
    const { keep = false, ...promptOptions } = options;
    // Refuses an invalid prompt before a session is made for it.
    promptRequest(input, options.format);
    const { queueTimeoutMs = false, headers } = options;
    const begunAt = realTime.now();
    // Until the session is deleted: `close({ drainMs })` waits for that.
    const release = this.#control.holdTurn('prompt()');
    try {
      const session = await this.#createToPrompt(options);
      try {
        const leftMs = queueTimeoutMs && Math.max(1, Math.ceil(begunAt + queueTimeoutMs - realTime.now()));
        return await session.prompt(input, { ...promptOptions, queueTimeoutMs: leftMs });
      } finally {
        if (!keep) await session.delete({ headers, timeoutMs: DELETE_LIMIT_MS }).catch(() => undefined);
      }
    } finally {
      release();
    }
  }

  /** Makes the session of one question, within the time until its prompt is sent. */
  async #createToPrompt({ signal, headers, queueTimeoutMs = false }: OneShotOptions): Promise<Session> {
    const scope = new AbortScope([signal], {
      timeoutMs: queueTimeoutMs,
      // As of any turn: an application waits for it.
      timers: globalThis,
      reason: (timeoutMs) =>
        new TimeoutError(`Waiting for ${WAITS_FOR.preparing} to make a session`, {
          phase: 'queue',
          timeoutMs,
        }),
    });
    try {
      return await this.sessions.create({}, { headers, signal: scope.signal });
    } finally {
      scope.end();
    }
  }

  /** Keeps the instance loaded, once it is, until the returned object is disposed, e.g. while a tab is open. */
  hold(reason = 'hold()'): Disposable {
    aString('reason', reason);
    const release = this.#control.hold('lease', reason);
    return { [Symbol.dispose]: release };
  }

  /**
   * Waits for a place, calls the function, and keeps the instance loaded until the function has ended. A place belongs to a
   * repository: any number of its uses share it, so a repository that is never without a use keeps its place. At most
   * `idle.maxLoaded` repositories have one at a time, and before another one gets a place, the least recently used instance that
   * nothing holds is disposed. So `Promise.all` over any number of repositories loads at most `maxLoaded` at a time (beside those
   * that something else holds), each once. With `idle: false` nobody waits. `repos()` shows who waits and runs.
   *
   * The promise settles as the function does. It rejects earlier when `signal` aborts, `timeoutMs` is over or the client is closed;
   * the place is given back at once then, and the signal that the function gets aborts: pass it on to what the function calls.
   *
   * A use inside a use of the same repository never waits. Inside a use of another one it may wait, and is refused when no place can
   * ever become free for it; also when the outer function does not await it, because the library cannot know that. A browser cannot
   * know what a use is called in; there it waits, so give it a `signal`.
   *
   * @throws {UseDeadlockError} when it is called inside `use()`, and each place belongs to a repository that waits for a place itself.
   * @throws {TimeoutError} with phase `use` when the function takes longer than `timeoutMs`.
   * @throws {ClosedError} when the client is closed; the function is cut short then.
   * @throws {TypeError} {@link RangeError} for an invalid option.
   * @example
   * ```ts
   * const answers = await Promise.all(
   *   repos.map((repo) => repo.use((repo, { signal }) => repo.prompt('Is there a README?', { signal }))),
   * );
   * ```
   */
  async use<T>(
    run: (repo: RepoClient, context: UseContext) => T | PromiseLike<T>,
    options?: UseOptions,
  ): Promise<T> {
    aFunction('the function of repo.use()', run);
    assertOptions('repo.use()', useOptionChecks, options);
    return this.#control.use((context) => run(this, context), options);
  }

  /**
   * Loads now what the first prompt would otherwise wait for. OpenCode 1.18.33 loads in steps, and this asks for each
   * of them: the configuration and the plugins, which it installs, imports and runs (`GET /path`); the MCP servers,
   * which it starts (`GET /mcp`); the models of the providers (`GET /config/providers`); and the services of the
   * directory (`GET /pty`). Without the last three the first prompt took 3 to 8 s on a busy 2-core machine, with them
   * 0.3 to 1 s, no longer than the second.
   *
   * It does not start language servers, asks no model, takes no snapshot, and does not wait for an MCP server beyond
   * its own limit. If the server refuses one of the last three steps, that step is left to the first prompt.
   *
   * @param options - `timeoutMs` counts for each step.
   * @throws {RequestError} when the instance cannot be loaded.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async warm(options?: RequestOptions): Promise<void> {
    assertRequestOptions(options);
    const release = this.#control.hold('request', 'warm()');
    try {
      await this.path(options);
      await Promise.all(LATER_STEPS.map((path) => this.#loadStep(path, options)));
    } finally {
      release();
    }
  }

  /**
   * Disposes the instance as {@link dispose} does and loads it again as {@link warm} does, e.g. after its configuration
   * was changed. If the instance is not loaded, this only loads it.
   *
   * One thing it cannot do: a configuration that was broken when the server first read it stays broken for OpenCode 1.18.33 after a
   * repair, until `server.restart()`. The call rejects then, and the error says so.
   *
   * @param options - `timeoutMs` counts for the disposal and for each step of loading.
   * @throws {DisposeRefusedError} when something holds it and `force` is not set; nothing was cut off then.
   * @throws {RequestError} when the instance cannot be loaded: it is gone then, and `stats().state` is `'broken'`.
   * @throws {RepoPathError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reload(options?: DisposeOptions): Promise<void> {
    await this.dispose(options);
    const { force: _, ...requestOptions } = options ?? {};
    await this.warm(requestOptions);
  }

  /** Sends the request that makes the server load one more part of the instance. */
  async #loadStep(path: string, options: RequestOptions | undefined): Promise<void> {
    try {
      await this.#transport.send({ method: 'GET', path, schema: anything }, options);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
    }
  }

  /**
   * Reads the paths that the server uses for this repository.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError}
   * @throws {ResponseShapeError} also when the server names another directory, as it does for a link on its own disk.
   */
  async path(options?: RequestOptions): Promise<PathInfo> {
    const target = { method: 'GET', path: '/path' } as const;
    const info = await this.#transport.send({ ...target, schema: pathInfoSchema }, options);
    if (info.directory !== this.directory) {
      const message = `expected ${JSON.stringify(this.directory)}, got ${JSON.stringify(info.directory)}`;
      throw new ResponseShapeError(target, [{ path: 'directory', message }]);
    }
    return info;
  }

  /**
   * Gives the instance back to the server, with its MCP and LSP children, and resolves when it is gone. Calls made
   * meanwhile wait and then succeed on a fresh instance. Does nothing when it is not loaded.
   *
   * No client can close one race: when another client of the same server starts a turn between this client's last look
   * and the call to dispose, the server aborts that turn (OpenCode 1.18.33 does so without reporting it).
   *
   * @throws {DisposeRefusedError} when something holds it and `force` is not set; nothing was cut off then.
   * @throws {RepoPathError} when the directory has become a link to another one: the server would dispose the instance
   *   of that one.
   * @throws {RequestError} {@link ConnectionError}
   * @throws {TimeoutError} when the server does not report within `timeoutMs`, 30 s by default, that the instance is
   *   gone; it may be, and `stats().holds` then has an `unknown` hold.
   */
  dispose(options?: DisposeOptions): Promise<DisposeResult> {
    return this.#control.dispose(options);
  }

  /** What this client knows about the instance at this moment. */
  stats(): RepoStats {
    return this.#control.stats();
  }
}
