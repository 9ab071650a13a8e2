/** Fields of a JSON body, by name or as `outer.inner`, that could lead out of the repository. */
export interface BodyRule {
  /** Each names a session, which must belong to this repository. */
  readonly sessions?: readonly string[];
  /** Each names a directory, which must be absolute and in this repository. */
  readonly directories?: readonly string[];
  /** Each leads elsewhere in a way that nobody can check. */
  readonly refused?: readonly string[];
}

/** The work that an operation begins and that goes on after its answer. */
export type Begun = 'turn' | 'terminal';

/** What the entries of a list are; `located` are the sessions of OpenCode 2, in a page. */
export type Listed = 'sessions' | 'projects' | 'located';

/**
 * What an operation changes by an id that OpenCode 1.18.33 does not compare with the session of the path: a prompt
 * writes into any message and parts that its body names, a part replaces any part of the same id, and deleting a
 * session deletes its children in any directory.
 */
export type Changes = 'messageOfBody' | 'part' | 'children';

/**
 * What pins a request to the repository: the header, as in OpenCode 1; or in OpenCode 2 the query `location[directory]` or `directory`, or
 * the field `location` of the body.
 */
export type Pin = 'header' | 'location' | 'directory' | 'body';

/** Sent to the server, pinned to the repository. */
export interface Forwarded {
  readonly kind: 'forwarded';
  /** Whether it concerns the server as a whole, so that it neither loads nor needs an instance. */
  readonly isGlobal?: boolean;
  /** @default 'header' */
  readonly pin?: Pin;
  /** The query parameters to pass on. None of them chooses another directory. */
  readonly query?: readonly string[];
  readonly body?: BodyRule;
  /** Set when the answer is a list that may hold entries of other repositories; `repo.fetch` leaves those out. */
  readonly lists?: Listed;
  readonly changes?: Changes;
  readonly begins?: Begun;
}

/** Answered by the library itself: from its event stream, or by the method that guards a disposing call. */
export interface Answered {
  readonly kind: 'answered';
  readonly by:
    'events' | 'globalEvents' | 'dispose' | 'updateConfig' | 'initGit' | 'disposeAll' | 'updateGlobalConfig';
}

/** Never sent. */
export interface Refused {
  readonly kind: 'refused';
  readonly why: string;
  /** What to use instead. */
  readonly instead: string;
}

export type Treatment = Forwarded | Answered | Refused;

/** One operation of the server, and what `repo.fetch` makes of a request for it. */
export interface FetchOperation {
  readonly method: string;
  /** The path as the server's OpenAPI document has it. The last segment may be `**`: that and all below, by any method. */
  readonly template: string;
  readonly treatment: Treatment;
}

type Row = readonly [operation: string, treatment: Treatment];

function forwarded(...rows: readonly (string | readonly [string, Omit<Forwarded, 'kind'>])[]): Row[] {
  return rows.map((row) => {
    const [operation, rule] = typeof row === 'string' ? [row, {}] : row;
    return [operation, { kind: 'forwarded', ...rule }];
  });
}

function answered(operation: string, by: Answered['by']): Row {
  return [operation, { kind: 'answered', by }];
}

function refused(operation: string, why: string, instead: string): Row {
  return [operation, { kind: 'refused', why, instead }];
}

const TURN = { begins: 'turn', body: {}, changes: 'messageOfBody' } as const;
const GLOBAL = { isGlobal: true } as const;

const OTHER_DIRECTORIES = 'it answers for any directory';
const EXPERIMENTAL = 'it is experimental and reaches other directories';

/**
 * Every operation of OpenCode 1.18.33. A test compares it with the OpenAPI document of the server. According to its
 * source, these dispose instances: `PATCH /config`, `POST /instance/dispose`, `POST /project/git/init`, `PATCH
 * /global/config`, `POST /global/dispose` and `DELETE /experimental/worktree`.
 */
const ROWS: readonly Row[] = [
  answered('GET /event', 'events'),
  answered('GET /global/event', 'globalEvents'),
  answered('POST /instance/dispose', 'dispose'),
  answered('PATCH /config', 'updateConfig'),
  answered('POST /project/git/init', 'initGit'),
  answered('POST /global/dispose', 'disposeAll'),
  answered('PATCH /global/config', 'updateGlobalConfig'),

  ...forwarded(
    ['PUT /auth/{providerID}', GLOBAL],
    ['DELETE /auth/{providerID}', GLOBAL],
    ['GET /global/health', GLOBAL],
    ['GET /global/config', GLOBAL],
    'POST /log',
    'GET /path',
    'GET /config',
    'GET /config/providers',
    'GET /agent',
    'GET /command',
    'GET /skill',
    'GET /lsp',
    'GET /formatter',
    'GET /provider',
    'GET /provider/auth',
    'POST /provider/{providerID}/oauth/authorize',
    'POST /provider/{providerID}/oauth/callback',
    ['GET /find', { query: ['pattern'] }],
    ['GET /find/file', { query: ['query', 'dirs', 'type', 'limit'] }],
    ['GET /find/symbol', { query: ['query'] }],
    // The server itself refuses a path outside of the directory, also one that leads out through a symbolic link.
    ['GET /file', { query: ['path'] }],
    ['GET /file/content', { query: ['path'] }],
    'GET /file/status',
    'GET /vcs',
    'GET /vcs/status',
    ['GET /vcs/diff', { query: ['mode', 'context'] }],
    'GET /vcs/diff/raw',
    'POST /vcs/apply',
    'GET /mcp',
    'POST /mcp',
    'POST /mcp/{name}/auth',
    'DELETE /mcp/{name}/auth',
    'POST /mcp/{name}/auth/callback',
    'POST /mcp/{name}/auth/authenticate',
    'POST /mcp/{name}/connect',
    'POST /mcp/{name}/disconnect',
    ['GET /project', { lists: 'projects' }],
    'GET /project/current',
    'PATCH /project/{projectID}',
    'GET /project/{projectID}/directories',
    'GET /pty/shells',
    'GET /pty',
    ['POST /pty', { body: { directories: ['cwd'] }, begins: 'terminal' }],
    'GET /pty/{ptyID}',
    'PUT /pty/{ptyID}',
    'DELETE /pty/{ptyID}',
    'POST /pty/{ptyID}/connect-token',
    'GET /question',
    'POST /question/{requestID}/reply',
    'POST /question/{requestID}/reject',
    'GET /permission',
    'POST /permission/{requestID}/reply',
    ['GET /experimental/tool', { query: ['provider', 'model'] }],
    'GET /experimental/tool/ids',
    'GET /experimental/capabilities',
    'GET /experimental/resource',
    'GET /experimental/worktree',
    'POST /experimental/worktree',
    'POST /experimental/session/{sessionID}/background',
  ),

  ...forwarded(
    ['GET /session', { query: ['path', 'roots', 'start', 'search', 'limit'], lists: 'sessions' }],
    ['POST /session', { body: { sessions: ['parentID'], refused: ['workspaceID'] } }],
    'GET /session/status',
    'GET /session/{sessionID}',
    ['DELETE /session/{sessionID}', { changes: 'children' }],
    'PATCH /session/{sessionID}',
    // A child can be in another directory.
    ['GET /session/{sessionID}/children', { lists: 'sessions' }],
    'GET /session/{sessionID}/todo',
    ['GET /session/{sessionID}/diff', { query: ['messageID'] }],
    ['GET /session/{sessionID}/message', { query: ['limit', 'before'] }],
    ['POST /session/{sessionID}/message', TURN],
    'GET /session/{sessionID}/message/{messageID}',
    'DELETE /session/{sessionID}/message/{messageID}',
    'DELETE /session/{sessionID}/message/{messageID}/part/{partID}',
    ['PATCH /session/{sessionID}/message/{messageID}/part/{partID}', { changes: 'part' }],
    'POST /session/{sessionID}/fork',
    'POST /session/{sessionID}/abort',
    ['POST /session/{sessionID}/init', TURN],
    'POST /session/{sessionID}/share',
    'DELETE /session/{sessionID}/share',
    ['POST /session/{sessionID}/summarize', { begins: 'turn' }],
    ['POST /session/{sessionID}/prompt_async', TURN],
    ['POST /session/{sessionID}/command', TURN],
    ['POST /session/{sessionID}/shell', TURN],
    'POST /session/{sessionID}/revert',
    'POST /session/{sessionID}/unrevert',
    'POST /session/{sessionID}/permissions/{permissionID}',
  ),

  ...forwarded(
    'POST /tui/append-prompt',
    'POST /tui/open-help',
    'POST /tui/open-sessions',
    'POST /tui/open-themes',
    'POST /tui/open-models',
    'POST /tui/submit-prompt',
    'POST /tui/clear-prompt',
    'POST /tui/execute-command',
    'POST /tui/show-toast',
    ['POST /tui/publish', { body: { sessions: ['properties.sessionID'] } }],
    ['POST /tui/select-session', { body: { sessions: ['sessionID'] } }],
    'GET /tui/control/next',
    'POST /tui/control/response',
  ),

  refused('GET /pty/{ptyID}/connect', 'it needs a WebSocket', 'repo.pty.connect()'),
  refused('DELETE /experimental/worktree', 'it deletes any directory it is given', 'repo.worktrees.remove()'),
  refused(
    'POST /experimental/worktree/reset',
    'it resets any directory it is given',
    'repo.worktrees.reset()',
  ),
  refused('GET /experimental/session', OTHER_DIRECTORIES, 'GET /session or repo.sessions.list()'),
  refused(
    'POST /experimental/control-plane/move-session',
    'it moves a session to another directory',
    'repo.sessions.create() in the repository that is to have it',
  ),
  refused('POST /global/upgrade', 'it replaces the installed server', 'your package manager'),
  refused('/experimental/project/**', EXPERIMENTAL, 'repo.worktrees'),
  refused('/experimental/workspace/**', EXPERIMENTAL, 'repo.worktrees'),
  refused(
    '/experimental/console/**',
    'it concerns the account of the server, whatever the repository',
    'jarvis.global',
  ),
  refused('/sync/**', 'it reads and writes the sessions of every directory', 'repo.sessions'),
  refused('/api/**', OTHER_DIRECTORIES, 'the same without /api, or the methods of the repository'),
];

/** The operations that `repo.fetch` knows. It takes the first that matches. */
export const FETCH_OPERATIONS: readonly FetchOperation[] = ROWS.map(([operation, treatment]) => {
  const [first = '', second] = operation.split(' ');
  return second === undefined
    ? { method: '*', template: first, treatment }
    : { method: first, template: second, treatment };
});
