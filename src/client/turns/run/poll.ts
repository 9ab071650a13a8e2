import { realTime } from '../../../core/real-time.js';
import { TimeoutError, type ServerLostError } from '../../../errors.js';
import type { RepoTransport } from '../../http/repo-transport.js';
import type { RequestOptions } from '../../http/request-options.js';
import type { StoredMessage } from '../../schema/message.js';
import { hasAnswer, sendAbort } from '../abort.js';
import { evidenceOf, isFinal, readMessages, readTurn, type TurnEvidence } from '../result/result.js';
import { runningPromptOf } from '../result/stored-turn.js';

/**
 * How long the first try of a request about a turn may take. A connection may be accepted and never answer: a second
 * request on another connection gets an answer sooner than waiting the 60 s of a caller's request. Each further try may
 * take twice as long, for a slow link.
 */
const FIRST_LIMIT_MS = 10_000;
const MAX_LIMIT_MS = 60_000;

/** For how long and how often in a row the server has not answered. */
export interface Outage {
  readonly ms: number;
  readonly failures: number;
}

/** Whose work keeps the session of a turn at work. */
export type WorkOfSession =
  /** That of the turn, or what comes before it. */
  | { readonly kind: 'own' }
  /** That of a later prompt. The turn has ended so. */
  | { readonly kind: 'later'; readonly evidence: TurnEvidence }
  /** The turn has ended, and nothing later is stored yet. */
  | { readonly kind: 'unknown' };

/** Asks the server about one turn, as long as the server that took its prompt runs. */
export class TurnPoll {
  readonly #transport: RepoTransport;
  readonly #turn: { readonly sessionID: string; readonly messageID: string };
  /** Aborts when the server that worked on the turn ends: the next server does not know the turn. Most turns ask nothing. */
  #serverLost: AbortController | undefined;
  #limitMs = FIRST_LIMIT_MS;
  #failures = 0;
  #failingSince: number | undefined;

  constructor(transport: RepoTransport, turn: { readonly sessionID: string; readonly messageID: string }) {
    this.#transport = transport;
    this.#turn = turn;
  }

  /** How long the next request may take. */
  get limitMs(): number {
    return this.#limitMs;
  }

  /** Ends every request about the turn: its server has ended. */
  loseServer(error: ServerLostError): void {
    this.#lost.abort(error);
  }

  /**
   * Reads how the turn ended; `undefined` while its session is at work.
   *
   * @param isIdle - whether an event has said that the session is idle: the final answer alone then shows the end.
   */
  async evidence(isIdle: boolean): Promise<TurnEvidence | undefined> {
    const evidence =
      (isIdle ? await this.#finalAnswer() : undefined) ??
      (await readTurn(this.#transport, this.#turn, this.#options));
    this.noteAnswer();
    return evidence;
  }

  /** The final answer of the model; `undefined` when the messages show none. */
  async #finalAnswer(): Promise<TurnEvidence | undefined> {
    const evidence = this.#evidenceOf(await this.messages());
    return isFinal(evidence) ? evidence : undefined;
  }

  /** Looks whose work it is that keeps the session of the turn at work: what waited for its end may have begun. */
  async whoseWork(): Promise<WorkOfSession> {
    const messages = await this.messages();
    const evidence = this.#evidenceOf(messages);
    if (!isFinal(evidence) && evidence.kind !== 'error') return { kind: 'own' };
    const running = runningPromptOf(messages);
    if (running !== undefined && running !== this.#turn.messageID) return { kind: 'later', evidence };
    // After another error the server may go on with the turn, e.g. with a summary when its context has overflowed.
    const isOver = isFinal(evidence) || evidence.error.name === 'MessageAbortedError';
    return { kind: isOver ? 'unknown' : 'own' };
  }

  #evidenceOf(messages: readonly StoredMessage[]): TurnEvidence {
    return evidenceOf(this.#turn.sessionID, this.#turn.messageID, messages);
  }

  /** Reads the newest messages of the session, back to the prompt. */
  messages(): Promise<StoredMessage[]> {
    return readMessages(this.#transport, this.#turn, this.#options);
  }

  /** Whether an answer to the prompt has begun; `false` when the messages cannot be read. */
  hasAnswer(): Promise<boolean> {
    const { sessionID, messageID } = this.#turn;
    return hasAnswer(this.#transport, sessionID, messageID, this.#options);
  }

  /** Asks the server to abort what the session does; never rejects. */
  async abort(): Promise<void> {
    await sendAbort(this.#transport, this.#turn.sessionID, this.#options).catch(() => undefined);
  }

  /** Ends an outage. */
  noteAnswer(): void {
    this.#limitMs = FIRST_LIMIT_MS;
    this.#failures = 0;
    this.#failingSince = undefined;
  }

  /** Begins an outage or makes it longer. */
  noteFailure(error: unknown): Outage {
    if (error instanceof TimeoutError) this.#limitMs = Math.min(MAX_LIMIT_MS, 2 * this.#limitMs);
    this.#failures += 1;
    this.#failingSince ??= realTime.now();
    return { ms: realTime.now() - this.#failingSince, failures: this.#failures };
  }

  get #options(): RequestOptions {
    return { signal: this.#lost.signal, timeoutMs: this.#limitMs };
  }

  get #lost(): AbortController {
    return (this.#serverLost ??= new AbortController());
  }
}
