import { LRUCache } from 'lru-cache';
import type { SessionInfo } from '../schema/session.js';
import type { FormField } from './wire.js';

/** How many sessions, asks and prompts are remembered; a forgotten one is asked of the server again. */
const MAX_SESSIONS = 10_000;
const MAX_ASKS = 1_000;

/** What the dialect remembers between requests and events: OpenCode 2 leaves out of the one what the other says. */
export class DialectMemory {
  /** Sessions as they were last seen, by id. */
  readonly sessions = new LRUCache<string, SessionInfo>({ max: MAX_SESSIONS });
  /** The session that asks, and of a form its fields, by the id of the ask. */
  readonly asks = new LRUCache<
    string,
    { readonly sessionID: string; readonly fields?: readonly FormField[] }
  >({
    max: MAX_ASKS,
  });
  /** The prompt that a session answers, by its id: an answer does not name it. */
  readonly prompts = new LRUCache<string, string>({ max: MAX_SESSIONS });
  /** The agent of a session before a prompt named another one: the switch lasts in OpenCode 2. */
  readonly ownAgents = new LRUCache<string, string>({ max: MAX_SESSIONS });
  /** The prompt that this client sent last and that is not known to be delivered, by session. */
  readonly undelivered = new LRUCache<string, string>({ max: MAX_SESSIONS });
}
