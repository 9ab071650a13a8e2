import * as z from 'zod';
import { AbortScope, deferred, resolvesWithin } from '../../core/abort.js';
import { ConnectionError, TimeoutError } from '../../errors.js';
import { realTime } from '../../core/real-time.js';
import { wasRefused } from '../http/retry.js';
import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import type { Choice } from '../sessions/choices.js';
import type { TurnRequest } from './request.js';
import type { TurnEventTracker } from './event-tracker.js';

/** How long the answer to a prompt is waited for before the prompt is looked for on the server. */
const ANSWER_LIMIT_MS = 5_000;
/** How long a prompt may be under way without a trace of it on the server. */
const UNDER_WAY_LIMIT_MS = 60_000;
/** How often a prompt is sent whose connection breaks before the server has stored it. */
const MAX_SENDS = 3;

export interface TurnDeliveryInit {
  readonly transport: RepoTransport;
  readonly sessionID: string;
  /** The id of the user message. */
  readonly messageID: string;
  readonly request: TurnRequest;
  readonly headers: RequestOptions['headers'];
  readonly tracker: TurnEventTracker;
  /** Aborts when the caller no longer waits. */
  readonly callerGone: AbortSignal;
  /** Called each time the prompt is about to be sent: from then on the server may know it. */
  readonly onSent: () => void;
}

/** The prompt of one turn on its way to the server. */
export class TurnDelivery {
  /** Why nobody knows whether the prompt arrived. */
  error: ConnectionError | TimeoutError | undefined;
  /** Why the server does not take it, or why it could not be sent. */
  refusal: { readonly error: unknown } | undefined;
  readonly #init: TurnDeliveryInit;
  #sends = 0;
  /** When it was sent, the last time. */
  #sentAt: number | undefined;
  /** The request that carries it, while it is under way. */
  #posting: AbortScope | undefined;

  constructor(init: TurnDeliveryInit) {
    this.#init = init;
  }

  /** Whether the request that carries it may still be what the turn waits for. */
  get isUnderWay(): boolean {
    return this.#posting !== undefined && realTime.now() - (this.#sentAt ?? 0) < UNDER_WAY_LIMIT_MS;
  }

  /**
   * Whether it may be sent again, once the server says that it is not stored: its connection broke, and a second copy does
   * no more than the first. OpenCode 1.18.33 drops a prompt whose connection ends while its instance is being loaded.
   */
  get isRepeatable(): boolean {
    const isLost = this.error instanceof ConnectionError;
    return isLost && this.#init.request.isRepeatable && this.#sends < MAX_SENDS;
  }

  /**
   * Sends it and waits for the answer, or what takes its place. When that takes long, the prompt is to be looked for while
   * it is under way: the answer may get lost. Never rejects.
   */
  async send(choice: Choice): Promise<void> {
    const { request, tracker } = this.#init;
    const begun = deferred();
    this.#sends += 1;
    this.error = undefined;
    const posted = this.#post(choice, begun.resolve);
    await Promise.race([posted, begun.promise]);
    await resolvesWithin(
      ANSWER_LIMIT_MS,
      request.isBlocking ? Promise.race([posted, tracker.stored.promise]) : posted,
    );
  }

  /** The turn has ended: the answer may never come. */
  stop(): void {
    this.#posting?.abort(undefined);
  }

  async #post(choice: Choice, begun: () => void): Promise<void> {
    const { transport, sessionID, messageID, request, headers, tracker, callerGone, onSent } = this.#init;
    const posting = new AbortScope([callerGone]);
    this.#posting = posting;
    try {
      await transport.send(
        {
          method: 'POST',
          path: `${route`/session/${sessionID}`}/${request.route}`,
          json: request.body(messageID, choice),
          schema: z.unknown(),
          onSend: () => {
            this.#sentAt = realTime.now();
            tracker.lastEventAt = this.#sentAt;
            tracker.progress.note();
            onSent();
            begun();
          },
        },
        { signal: posting.signal, headers, ...(request.isBlocking && { timeoutMs: false }) },
      );
    } catch (error) {
      const isUnknown = error instanceof ConnectionError || error instanceof TimeoutError;
      if (this.#sentAt === undefined) this.refusal = { error };
      // Cancelled while it was under way: it may have arrived, so it is followed to its end.
      else if (posting.signal.aborted) return;
      // What was seen to be stored has begun, whatever came of its request.
      else if (tracker.isStored) return;
      else if (isUnknown && !wasRefused(error.cause)) this.error = error;
      else this.refusal = { error };
    } finally {
      posting.end();
      this.#posting = undefined;
      tracker.lastEventAt = realTime.now();
      tracker.wake();
    }
  }
}
