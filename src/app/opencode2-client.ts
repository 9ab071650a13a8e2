import type { RepoClient } from '../client/repo/repo-client.js';
import type { UseContext, UseOptions } from '../client/repo/use.js';
import type { SessionsResource } from '../client/resources/sessions.js';
import type { Session } from '../client/sessions/session.js';
import type { AcceptedVersions } from '../core/version.js';
import type { MapOptions, MapResult } from './map.js';

// What OpenCode 2.0.14 has not rejects with `UnsupportedOperationError`. Where the options say `opencode: '2'`, these types say so before.

/** Members that do not compile when they are used. */
type Lacks<Name extends PropertyKey> = { readonly [name in Name]: never };

/** Options that take no other server than one of OpenCode 2. */
export interface OnlyOpenCode2 extends AcceptedVersions {
  readonly opencode: '2';
}

/** A {@link Session} of OpenCode 2, for code that takes any session too. A call of what OpenCode 2.0.14 has not does not compile. */
export type OpenCode2Session = Lacks<
  | 'addContext'
  | 'command'
  | 'deleteMessage'
  | 'deletePart'
  | 'diff'
  | 'init'
  | 'revert'
  | 'share'
  | 'shell'
  | 'summarize'
  | 'todos'
  | 'unrevert'
  | 'unshare'
  | 'updatePart'
> &
  FurtherSessions &
  Session;

interface FurtherSessions {
  children(...args: Parameters<Session['children']>): Promise<OpenCode2Session[]>;
  fork(...args: Parameters<Session['fork']>): Promise<OpenCode2Session>;
}

interface SessionsOfRepo {
  create(...args: Parameters<SessionsResource['create']>): Promise<OpenCode2Session>;
  get(...args: Parameters<SessionsResource['get']>): Promise<OpenCode2Session>;
  list(...args: Parameters<SessionsResource['list']>): Promise<OpenCode2Session[]>;
  open(...args: Parameters<SessionsResource['open']>): Promise<OpenCode2Session>;
  session(...args: Parameters<SessionsResource['session']>): OpenCode2Session;
}

/** A {@link RepoClient} of OpenCode 2, for code that takes any repository too. A call of what OpenCode 2.0.14 has not does not compile. */
export type OpenCode2Repo = Lacks<
  | 'commands'
  | 'files'
  | 'find'
  | 'formatter'
  | 'log'
  | 'lsp'
  | 'project'
  | 'providers'
  | 'skills'
  | 'tools'
  | 'tui'
  | 'vcs'
> &
  NounsOfRepo &
  RepoClient;

interface NounsOfRepo {
  readonly config: Lacks<'get' | 'update'>;
  readonly mcp: Lacks<
    'add' | 'authCallback' | 'authRemove' | 'authStart' | 'authenticate' | 'connect' | 'disconnect'
  >;
  readonly pty: Lacks<'connect' | 'connectToken' | 'create' | 'get' | 'remove' | 'shells' | 'update'>;
  readonly sessions: SessionsOfRepo;
  readonly worktrees: Lacks<'create' | 'list' | 'remove' | 'reset'> & {
    forWorktree(...args: Parameters<RepoClient['worktrees']['forWorktree']>): OpenCode2Repo;
  };
  use<T>(
    run: (repo: OpenCode2Repo, context: UseContext) => T | PromiseLike<T>,
    options?: UseOptions,
  ): Promise<T>;
}

/**
 * A client of OpenCode 2, e.g. `OpenCode2Client<JarvisOpenCode>`: what the options `opencode: '2'` give. A call of what OpenCode 2.0.14 has
 * not does not compile.
 */
export type OpenCode2Client<Client> = {
  readonly global: Lacks<'auth' | 'config'>;
  forRepo(directory: string): OpenCode2Repo;
  forSession(jarvisSessionID: string): OpenCode2Session;
  map<T>(
    directories: Iterable<string>,
    work: (repo: OpenCode2Repo, directory: string, index: number, context: UseContext) => T | PromiseLike<T>,
    options?: MapOptions<T>,
  ): Promise<MapResult<T>[]>;
} & Client;
