import { abortable, AbortScope, deferred } from '../../core/abort.js';
import { RequestError, TimeoutError } from '../../errors.js';
import type { EventHub } from '../events/hub.js';
import {
  assertRequestOptions,
  parseInput,
  parseTimeoutMs,
  type RequestOptions,
} from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { ServerLink } from '../http/server-link.js';
import type { OpenCodeEvent } from '../schema/event.js';
import { fileContentSchema } from '../schema/files.js';
import { booleanSchema, pathInfoSchema } from '../schema/server.js';
import {
  createWorktreeInputSchema,
  worktreeDirectoryInputSchema,
  worktreeListSchema,
  worktreeSchema,
  type CreateWorktreeInput,
  type Worktree,
  type WorktreeDirectoryInput,
} from '../schema/worktrees.js';
import { RepoResource } from './repo-resource.js';

/** What worktrees need of their client, which makes a `Repo` for a directory. */
export interface WorktreeContext<Repo> {
  readonly hub: Pick<EventHub, 'connect' | 'listen'>;
  /** Reports the end of the server. @default the end is never reported */
  readonly link?: ServerLink | undefined;
  /** Called with the directory of each worktree that is made. */
  made?(directory: string): void;
  /** The client of another directory. */
  forWorktree(directory: string): Repo;
  /** Sends requests of another directory; the `directory` of the result is its canonical path. */
  transportOf(directory: string): RepoTransport;
  /**
   * Runs a call that ends the instance of a directory, under the rules of a disposal.
   *
   * @throws {DisposeRefusedError} when something holds the instance; nothing was run then.
   */
  runWithoutInstance<T>(directory: string, run: () => Promise<T>): Promise<T>;
}

const PATH = '/experimental/worktree';
const CREATE_TIMEOUT_MS = 60_000;

/**
 * The git worktrees of one repository. Each is a repository of its own, with its own sessions, events and instance:
 * {@link forWorktree} makes its client, a `Repo`.
 */
export class WorktreesResource<Repo> extends RepoResource {
  readonly #context: WorktreeContext<Repo>;

  /** @internal */
  constructor(transport: RepoTransport, context: WorktreeContext<Repo>) {
    super(transport);
    this.#context = context;
  }

  /**
   * Lists the directories that the server assigns to the project, except the first it saw: its worktrees, those made
   * without OpenCode once they were used, and other clones of the same repository.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<string[]> {
    return this.transport.send({ method: 'GET', path: PATH, schema: worktreeListSchema }, options);
  }

  /**
   * Makes a worktree of the last commit on a new branch `opencode/<name>`, and resolves when its files are there and
   * its instance is loaded. The start command begins then; only the log of the server shows how it ends.
   *
   * @throws {RequestError} with status 400 when git cannot make it (`WorktreeCreateFailedError`) or this is no git repository
   *   (`WorktreeNotGitError`). When git cannot fill it, it stays, and the error has its `body.data.directory`.
   * @throws {TimeoutError} when it is not ready within `timeoutMs`; it may still be made. OpenCode 1.18.33 never
   *   reports that a worktree is not ready because the configuration committed in it is broken.
   * @throws {ServerLostError} when the server ends meanwhile, also when another one takes its place; the worktree may
   *   still be made.
   * @throws {ConnectionError} {@link ResponseShapeError}
   */
  async create(input: CreateWorktreeInput = {}, options: RequestOptions = {}): Promise<Worktree> {
    const json = parseInput(createWorktreeInputSchema, 'worktree', input);
    assertRequestOptions(options);
    const { hub, link = new ServerLink(false) } = this.#context;
    return withTimeLimit(`POST ${PATH}`, options, async (signal) => {
      const outcomes = new Outcomes(hub);
      let { lost } = link;
      const onSend = (): void => {
        ({ lost } = link);
      };
      try {
        // The server answers before the work is done and reports its end only once, by an event, so listen first.
        if (!link.isReady) await link.untilUp(signal);
        await abortable(hub.connect(), signal);
        const worktree = await this.transport.send(
          { method: 'POST', path: PATH, json, schema: worktreeSchema, onSend },
          { ...options, signal, timeoutMs: false },
        );
        this.#context.made?.(worktree.directory);
        // The next server does not go on with the work of this one.
        await abortable(abortable(outcomes.of(worktree.directory), lost), signal);
        return worktree;
      } finally {
        outcomes.stop();
      }
    });
  }

  /**
   * Resets a worktree to the default branch. Uncommitted changes in it are lost.
   *
   * @throws {TypeError} unless the directory is a linked worktree of this repository; nothing is changed then.
   * @throws {DisposeRefusedError} when something holds its instance; nothing is changed then.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reset(input: WorktreeDirectoryInput, options?: RequestOptions): Promise<void> {
    const directory = await this.#linkedWorktree('reset', input, options);
    await this.#context.runWithoutInstance(directory, () =>
      this.transport.send(
        { method: 'POST', path: `${PATH}/reset`, json: { directory }, schema: booleanSchema },
        options,
      ),
    );
  }

  /**
   * Removes a worktree with all its files, its branch and its instance; its sessions stay readable. OpenCode 1.18.33
   * would delete whatever directory it is given, so this method first makes sure that it is a linked worktree.
   *
   * @throws {TypeError} unless the directory is a linked worktree of this repository; nothing is deleted then.
   * @throws {DisposeRefusedError} when something holds its instance; nothing is deleted then.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async remove(input: WorktreeDirectoryInput, options?: RequestOptions): Promise<void> {
    const directory = await this.#linkedWorktree('remove', input, options);
    await this.#context.runWithoutInstance(directory, () =>
      this.transport.send(
        { method: 'DELETE', path: PATH, json: { directory }, schema: booleanSchema },
        options,
      ),
    );
  }

  /**
   * The client of a worktree; the same as `forRepo` gives for its directory.
   *
   * @throws {RepoPathError} when the path is not absolute or, with local paths, does not exist or is not a directory.
   * @throws {ClosedError} after `close()` of the client.
   */
  forWorktree(directory: string): Repo {
    return this.#context.forWorktree(directory);
  }

  /**
   * Proves that a directory is a worktree linked to this repository, and returns its canonical path. Git keeps a link
   * in both directions, and both must exist: a copy of a worktree has only one.
   */
  async #linkedWorktree(
    verb: string,
    input: WorktreeDirectoryInput,
    options: RequestOptions | undefined,
  ): Promise<string> {
    const { directory } = parseInput(worktreeDirectoryInputSchema, 'worktree', input);
    const refusal = (why: string): TypeError =>
      new TypeError(`Refused to ${verb} ${JSON.stringify(directory)}: ${why}. Nothing was changed.`);
    if (!isPlainAbsolute(directory)) throw refusal('it is not an absolute path without "." and ".."');
    const target = this.#context.transportOf(directory);
    if (!isPlainAbsolute(target.directory)) throw refusal('it is not an absolute path');

    const own = this.transport;
    if (isWithin(own.directory, target.directory)) throw refusal('it contains this repository itself');
    const here = await readPath(own, options);
    for (const path of [here.directory, here.worktree]) {
      if (isWithin(path, target.directory)) throw refusal('it contains this repository itself');
    }

    const there = await readPath(target, options);
    const isRoot = there.directory === target.directory && there.worktree === target.directory;
    const link = isRoot ? await readLink(target, options) : undefined;
    const notLinked = `it is not a linked worktree of ${JSON.stringify(own.directory)}`;
    if (link === undefined) throw refusal(notLinked);
    if (link.repository !== slashes(here.worktree)) {
      // This repository may be a linked worktree itself.
      const ownLink = await readLink(this.#context.transportOf(here.worktree), options);
      if (ownLink?.repository !== link.repository) throw refusal(notLinked);
    }
    const main =
      link.repository === slashes(own.directory) ? own : this.#context.transportOf(link.repository);
    const back = await readFile(main, `.git/worktrees/${link.name}/gitdir`, options);
    if (slashes(back.trim()) !== `${slashes(target.directory)}/.git`) throw refusal(notLinked);
    return target.directory;
  }
}

/** How the creation of worktrees ended, by directory. */
class Outcomes {
  readonly stop: () => void;
  readonly #ended = new Map<string, OpenCodeEvent>();
  readonly #lost = deferred<never>();
  #changed = deferred();

  constructor(hub: WorktreeContext<unknown>['hub']) {
    this.stop = hub.listen(undefined, {
      event: (event) => {
        if (event.directory === undefined || !isOutcome(event)) return;
        this.#ended.set(event.directory, event);
        this.#changed.resolve();
        this.#changed = deferred();
      },
      lost: (error) => this.#lost.reject(error),
    });
  }

  /** Resolves when the worktree is ready. */
  async of(directory: string): Promise<void> {
    for (;;) {
      const event = this.#ended.get(directory);
      if (event === undefined) {
        await Promise.race([this.#changed.promise, this.#lost.promise]);
        continue;
      }
      if (event.type === 'worktree.ready') return;
      if (event.type !== 'worktree.failed') continue;
      const { message } = event.properties;
      // Throws the same error as for a failure that the server notices before it answers.
      const body = { name: 'WorktreeCreateFailedError', data: { message, directory } };
      throw new RequestError({ method: 'POST', path: PATH, status: 400, body });
    }
  }
}

function isOutcome(event: OpenCodeEvent): boolean {
  return event.type === 'worktree.ready' || event.type === 'worktree.failed';
}

/** A call of several steps under one time limit. */
async function withTimeLimit<T>(
  what: string,
  options: RequestOptions,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeoutMs = parseTimeoutMs('timeoutMs', options.timeoutMs, CREATE_TIMEOUT_MS);
  const scope = new AbortScope([options.signal], {
    timeoutMs,
    reason: (limitMs) => new TimeoutError(what, { phase: 'request', timeoutMs: limitMs }),
  });
  try {
    return await run(scope.signal);
  } finally {
    scope.end();
  }
}

function readPath(transport: RepoTransport, options: RequestOptions | undefined) {
  return transport.send({ method: 'GET', path: '/path', schema: pathInfoSchema }, options);
}

/** Reads the text of a file; empty when the file does not exist. */
async function readFile(
  transport: RepoTransport,
  path: string,
  options: RequestOptions | undefined,
): Promise<string> {
  const file = await transport.send(
    { method: 'GET', path: '/file/content', query: { path }, schema: fileContentSchema },
    options,
  );
  return file.content;
}

interface Link {
  /** The main worktree. */
  readonly repository: string;
  readonly name: string;
}

/** The `.git` of a main worktree is a directory, which the server refuses to read. */
async function readLink(
  transport: RepoTransport,
  options: RequestOptions | undefined,
): Promise<Link | undefined> {
  try {
    return parseLink(await readFile(transport, '.git', options));
  } catch (error) {
    if (error instanceof RequestError && error.status === 500) return undefined;
    throw error;
  }
}

/** Where the `.git` file of a linked worktree points to: `<repository>/.git/worktrees/<name>`. */
function parseLink(text: string): Link | undefined {
  const match = /^gitdir: ([^\0\r\n]+)\/\.git\/worktrees\/([^/\\\0\r\n]+)$/.exec(slashes(text.trim()));
  const [, repository, name] = match ?? [];
  if (repository === undefined || name === undefined) return undefined;
  return isPlainAbsolute(repository) && !/^\.\.?$/.test(name) ? { repository, name } : undefined;
}

/** Git writes paths with slashes on Windows too. */
function slashes(path: string): string {
  return /^(?:gitdir: )?(?:[A-Za-z]:[\\/]|\\\\)/.test(path) ? path.replaceAll('\\', '/') : path;
}

function isPlainAbsolute(path: string): boolean {
  const isAbsolute = /^(?:\/|[A-Za-z]:[\\/]|\\\\)/.test(path);
  return isAbsolute && !path.includes('\0') && !/(?:^|[\\/])\.\.?(?:[\\/]|$)/.test(path);
}

/** Whether `path` is `ancestor` or inside of it. */
function isWithin(path: string, ancestor: string): boolean {
  const prefix = slashes(ancestor).replace(/\/+$/, '');
  return slashes(path) === prefix || slashes(path).startsWith(`${prefix}/`);
}
