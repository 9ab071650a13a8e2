import { AbortScope, deferred, resolvesWithin } from '../../../core/abort.js';
import { ConnectionError, TimeoutError } from '../../../errors.js';
import { realTime } from '../../../core/real-time.js';
import { wasRefused } from '../../http/retry.js';
import type { RequestOptions } from '../../http/request-options.js';
import type { RepoTransport } from '../../http/repo-transport.js';
import { route } from '../../http/route.js';
import type { Choice } from '../../sessions/choices.js';
import type { TurnRequest } from '../request.js';
import type { TurnEventTracker } from './event-tracker.js';
import { anything } from '../../schema/wire.js';

/** How long to wait for the answer to a prompt before looking for the prompt on the server. */
const ANSWER_LIMIT_MS = 5_000;
/** How long a prompt may be under way while the server shows no trace of it. */
const UNDER_WAY_LIMIT_MS = 60_000;
/** How often to send a prompt whose connection breaks before the server stores it. */
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

/** What a turn knows of the way of its prompt to the server. */
export interface PromptDelivery {
  /** The failure that leaves open whether the prompt arrived. */
  readonly error: ConnectionError | TimeoutError | undefined;
  /** Why the server refused the prompt, or why it could not be sent. */
  readonly refusal: { readonly error: unknown } | undefined;
  /** Whether the turn may still be waiting for the request that carries the prompt. */
  readonly isUnderWay: boolean;
  /** Whether the server has accepted the prompt without having worked on it yet. */
  readonly isAccepted: boolean;
  /** Whether the prompt may be sent again once the server says that it has not stored it. */
  readonly isRepeatable: boolean;
  /** Sends the prompt; never rejects. */
  send(choice: Choice): Promise<void>;
  /** The server has stored the prompt, so the failure of its request no longer matters. */
  noteArrival(): void;
  /** Stops waiting for the answer, which may never come: the turn has ended. */
  stop(): void;
}

/** Of a prompt that the server works on when its turn is joined. */
export const ALREADY_DELIVERED: PromptDelivery = {
  error: undefined,
  refusal: undefined,
  isUnderWay: false,
  isAccepted: false,
  isRepeatable: false,
  send: () => Promise.resolve(),
  noteArrival: () => undefined,
  stop: () => undefined,
};

/** The prompt of one turn on its way to the server. */
export class TurnDelivery implements PromptDelivery {
  error: ConnectionError | TimeoutError | undefined;
  refusal: { readonly error: unknown } | undefined;
  isAccepted = false;
  readonly #init: TurnDeliveryInit;
  #sends = 0;
  /** When the prompt was last sent. */
  #sentAt: number | undefined;
  /** The request that carries the prompt, while it is under way. */
  #posting: AbortScope | undefined;

  constructor(init: TurnDeliveryInit) {
    this.#init = init;
  }

  get isUnderWay(): boolean {
    return this.#posting !== undefined && realTime.now() - (this.#sentAt ?? 0) < UNDER_WAY_LIMIT_MS;
  }

  /**
   * Whether the prompt may be sent again: the connection broke, and a second copy has no further effect. OpenCode 1.18.33 drops a prompt whose connection ends while its instance is
   * being loaded.
   */
  get isRepeatable(): boolean {
    const isLost = this.error instanceof ConnectionError;
    return isLost && this.#init.request.isRepeatable && this.#sends < MAX_SENDS;
  }

  /**
   * Sends the prompt and waits for the answer; for a blocking request, the event that the prompt is stored also ends
   * the wait. It waits at most 5 s after sending: the answer may get lost, so the caller then looks for the prompt
   * while it is under way. Never rejects.
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

  noteArrival(): void {
    this.error = undefined;
  }

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
          schema: anything,
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
      this.isAccepted = !request.isBlocking;
    } catch (error) {
      const isUnknown = error instanceof ConnectionError || error instanceof TimeoutError;
      if (this.#sentAt === undefined) this.refusal = { error };
      // The caller cancelled it while it was under way. It may have arrived, so the turn follows it to its end.
      else if (posting.signal.aborted) return;
      // The server has stored the prompt, so the turn has begun, however its request ended.
      else if (tracker.isStored) return;
      else if (isUnknown && !wasRefused(error)) this.error = error;
      else this.refusal = { error };
    } finally {
      posting.end();
      this.#posting = undefined;
      tracker.lastEventAt = realTime.now();
      if (!this.isAccepted) tracker.wake();
    }
  }
}
