import type { RepoTransport } from '../http/repo-transport.js';
import type { RequestOptions } from '../http/request-options.js';
import { isAtWork, readStatuses } from './statuses.js';

/** What the events say of the sessions of one repository. */
export interface ObservedSessions {
  /** The unbroken period of the event stream this is; `undefined` while the stream is down. */
  epoch(): number | undefined;
  /** Whether the session was seen to begin work, and not to end it. */
  isBusy(sessionID: string): boolean;
}

/** Knows which sessions of one repository are at work, whoever prompted them; asks the server where the events do not tell. */
export class SessionActivity {
  readonly #transport: Pick<RepoTransport, 'send'>;
  readonly #observed: ObservedSessions;
  /** The period of the event stream in which every session at work is known by events. */
  #knownIn: number | undefined;

  constructor(transport: Pick<RepoTransport, 'send'>, observed: ObservedSessions) {
    this.#transport = transport;
    this.#observed = observed;
  }

  /** Whether a session is idle. It is a request when the session is busy, and the first time in each period of the event stream. */
  async isIdle(sessionID: string, options?: RequestOptions): Promise<boolean> {
    const epoch = this.#observed.epoch();
    const isKnown = epoch !== undefined && epoch === this.#knownIn;
    if (isKnown && !this.#observed.isBusy(sessionID)) return true;
    const statuses = await readStatuses(this.#transport, options);
    // The end of work that was not seen to begin may have come before this answer.
    if (Object.keys(statuses).every((id) => this.#observed.isBusy(id))) this.#knownIn = epoch;
    return !isAtWork(statuses[sessionID]);
  }
}
