import type { RepoAsks } from '../asks/repo-asks.js';
import type { EventHub } from '../events/hub.js';
import type { RequestOptions } from '../options.js';
import type { RepoTransport } from '../repo-transport.js';

/** What a turn needs of the session it belongs to. */
export interface TurnContext {
  readonly sessionID: string;
  readonly transport: RepoTransport;
  readonly hub: EventHub;
  readonly asks: RepoAsks;
  /** Whether a session is the turn's, or a child of that one. */
  isWithin(sessionID: string): boolean;
  /** Makes sure that the session is of this repository. */
  verify(options?: RequestOptions): Promise<void>;
}
