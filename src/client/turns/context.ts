import type { Logger } from '../../core/logger.js';
import type { AskBroker } from '../asks/broker.js';
import type { EventHub } from '../events/hub.js';
import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import type { SessionInfo } from '../schema/session.js';
import type { Choice } from '../sessions/choices.js';
import type { TurnRequest } from './request.js';

/** What a turn needs of the session it belongs to. */
export interface TurnContext {
  readonly sessionID: string;
  readonly transport: RepoTransport;
  readonly hub: EventHub;
  readonly asks: AskBroker;
  /** Whether a session is the turn's own or one of its children. */
  isWithin(sessionID: string): boolean;
  /** Remembers the directory and the parent of a session. */
  readonly learn: (info: SessionInfo) => void;
  /** Whether nothing is at work in the session, whoever prompted it. */
  readonly isIdle: (options: RequestOptions) => Promise<boolean>;
  readonly logger: Logger;
  /** Makes sure that the session belongs to this repository, and decides which agent and model answer the turn. */
  prepare(request: Pick<TurnRequest, 'choice' | 'isCommand'>, options?: RequestOptions): Promise<Choice>;
}
