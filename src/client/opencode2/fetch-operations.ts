import type { FetchOperation, Forwarded, Treatment } from '../repo/operations.js';

type Row = readonly [operation: string, treatment: Treatment];

function forwarded(rule: Omit<Forwarded, 'kind'>, ...operations: readonly string[]): Row[] {
  return operations.map((operation) => [operation, { kind: 'forwarded', ...rule }]);
}

function refused(why: string, instead: string, ...operations: readonly string[]): Row[] {
  return operations.map((operation) => [operation, { kind: 'refused', why, instead }]);
}

const SESSION = '/api/session/{sessionID}';
const BEGINS_TURN = { begins: 'turn', body: {} } as const;

/**
 * The operations of OpenCode 2.0.14 that `repo.fetch` knows. That server takes the directory of most operations from
 * `location[directory]`, of a session from its store, of a new one from the body, and of a list of sessions from `directory`; each other
 * form is ignored there, and the working directory of the server counts.
 */
const ROWS: readonly Row[] = [
  ['DELETE /api/debug/location', { kind: 'answered', by: 'dispose' }],
  ...forwarded({ isGlobal: true }, 'GET /api/info'),
  ...forwarded({ pin: 'body', body: { refused: ['id'] } }, 'POST /api/session'),
  ...forwarded(
    { pin: 'directory', query: ['limit', 'order', 'search', 'cursor'], lists: 'located' },
    'GET /api/session',
  ),
  ...forwarded({}, `GET ${SESSION}`, `PATCH ${SESSION}`),
  ...forwarded({ changes: 'children' }, `DELETE ${SESSION}`),
  ...forwarded(
    {},
    `POST ${SESSION}/fork`,
    `POST ${SESSION}/agent`,
    `POST ${SESSION}/model`,
    `POST ${SESSION}/interrupt`,
    `POST ${SESSION}/background`,
    `POST ${SESSION}/revert/stage`,
    `POST ${SESSION}/revert/commit`,
    `DELETE ${SESSION}/revert`,
    `GET ${SESSION}/context`,
    `GET ${SESSION}/inbox`,
    `PATCH ${SESSION}/inbox/{inboxID}`,
    `DELETE ${SESSION}/inbox/{inboxID}`,
    `GET ${SESSION}/message/{messageID}`,
    `GET ${SESSION}/permission`,
    `GET ${SESSION}/permission/{requestID}`,
    `POST ${SESSION}/permission/{requestID}/reply`,
    `GET ${SESSION}/form`,
    `GET ${SESSION}/form/{formID}`,
    `POST ${SESSION}/form/{formID}/reply`,
    `DELETE ${SESSION}/form/{formID}`,
    'POST /api/experimental/session/{sessionID}/wait',
  ),
  ...forwarded({ query: ['from', 'to', 'context'] }, `GET ${SESSION}/diff`),
  ...forwarded({ query: ['limit', 'order', 'cursor', 'type'] }, `GET ${SESSION}/message`),
  ...forwarded(
    BEGINS_TURN,
    `POST ${SESSION}/prompt`,
    `POST ${SESSION}/command`,
    `POST ${SESSION}/shell`,
    `POST ${SESSION}/compact`,
  ),
  ...forwarded(
    { pin: 'location' },
    'GET /api/location',
    'GET /api/agent',
    'GET /api/agent/{agentID}',
    'GET /api/plugin',
    'GET /api/model',
    'GET /api/model/default',
    'GET /api/provider',
    'GET /api/provider/{providerID}',
    'GET /api/mcp',
    'GET /api/mcp/resource',
    'GET /api/form',
    'GET /api/permission/request',
    'GET /api/command',
    'GET /api/skill',
    'GET /api/reference',
    'GET /api/config',
    'GET /api/pty',
    'GET /api/shell',
    'GET /api/vcs',
    'GET /api/vcs/base',
    'GET /api/vcs/status',
  ),
  ...forwarded({ pin: 'location', query: ['path'] }, 'GET /api/fs/list'),
  ...forwarded({ pin: 'location', query: ['query', 'type', 'limit'] }, 'GET /api/fs/find'),
  ...forwarded({ pin: 'location', query: ['search', 'limit'] }, 'GET /api/vcs/branch'),
  ...forwarded({ pin: 'location', query: ['mode', 'base', 'context'] }, 'GET /api/vcs/diff'),
  ...refused('it sends the events of every directory', 'repo.events()', 'GET /api/event'),
  ...refused('it lists every directory', 'jarvis.repos()', 'GET /api/debug/location'),
  ...refused('it lists the sessions of every directory', 'repo.sessions.status()', 'GET /api/session/active'),
  ...refused(
    'it moves a session to another directory',
    'repo.sessions.create() in the repository that is to have it',
    `POST ${SESSION}/move`,
  ),
  ...refused(
    'it ends the instances of every directory',
    'repo.dispose() or jarvis.global.dispose()',
    'POST /api/location/reload',
  ),
];

/** The operations that `repo.fetch` knows on OpenCode 2. */
export const OPENCODE_2_FETCH_OPERATIONS: readonly FetchOperation[] = ROWS.map(([operation, treatment]) => {
  const [method = '', template = ''] = operation.split(' ');
  return { method, template, treatment };
});
