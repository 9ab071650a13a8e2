import { MAX_TIMER_MS } from '../../../core/clock.js';
import { TimeoutError, type TimeoutPhase } from '../../../errors.js';

export interface TurnTimeLimitsInit {
  readonly sessionID: string;
  /** Milliseconds until the prompt is sent. */
  readonly queueTimeoutMs: number | false;
  /** Milliseconds from then to the end of the turn. */
  readonly timeoutMs: number | false;
  /** What the prompt waits for now. */
  readonly waitsFor: () => string;
  readonly onExpire: (error: TimeoutError) => void;
}

/** The two time limits of one turn: the first until its prompt is sent, the second from then on. */
export class TurnTimeLimits {
  readonly #init: TurnTimeLimitsInit;
  #isSent = false;
  #stop: () => void = () => undefined;

  constructor(init: TurnTimeLimitsInit) {
    this.#init = init;
    const { queueTimeoutMs, sessionID, waitsFor } = init;
    this.#start('queue', queueTimeoutMs, () => `Waiting for ${waitsFor()} to prompt session ${sessionID}`);
  }

  /** Ends the first limit and begins the second; only the first call counts. */
  sent(): void {
    if (this.#isSent) return;
    this.#isSent = true;
    this.#stop();
    const { timeoutMs, sessionID } = this.#init;
    this.#start('request', timeoutMs, () => `The turn of session ${sessionID}`);
  }

  /** Ends both limits. */
  end(): void {
    this.#isSent = true;
    this.#stop();
  }

  #start(phase: TimeoutPhase, timeoutMs: number | false, what: () => string): void {
    if (timeoutMs === false) return;
    const expire = (): void => this.#init.onExpire(new TimeoutError(what(), { phase, timeoutMs }));
    const timer = setTimeout(expire, Math.min(timeoutMs, MAX_TIMER_MS));
    this.#stop = () => clearTimeout(timer);
  }
}
