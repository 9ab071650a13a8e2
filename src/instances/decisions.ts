import { describeHolds, type DisposeReason, type InstanceDecision } from '../core/instance.js';
import type { Logger } from '../core/logger.js';
import { DisposeRefusedError } from '../errors.js';

/** Where decisions about instances go. */
export interface DecisionsInit {
  readonly logger: Logger;
  /** Publishes a decision for diagnosis. */
  readonly publish: (decision: InstanceDecision) => void;
  /** The time in epoch milliseconds. */
  readonly now: () => number;
}

const LEVELS = { loaded: 'debug', broken: 'warn', kept: 'debug', disposed: 'info', failed: 'warn' } as const;

/** Logs and publishes every decision about an instance. */
export class Decisions {
  readonly #init: DecisionsInit;

  constructor(init: DecisionsInit) {
    this.#init = init;
  }

  loaded(directory: string): void {
    this.#record({ directory, decision: 'loaded', text: 'loaded' });
  }

  /** The server cannot load the instance. */
  broken(directory: string, error: Error): void {
    this.#record({ directory, decision: 'broken', error, text: `not loaded: ${error.message}` });
  }

  disposed(directory: string, reason: DisposeReason): void {
    this.#record({ directory, decision: 'disposed', reason, text: `disposed: ${reason}` });
  }

  /** The instance ended because its server did. */
  goneWithServer(directory: string, reason: DisposeReason): void {
    this.#record({ directory, decision: 'disposed', reason, text: `gone with its server: ${reason}` });
  }

  /** A disposal was refused, or failed. */
  notDisposed(directory: string, reason: DisposeReason, error: unknown): void {
    if (error instanceof DisposeRefusedError) {
      const { holds } = error;
      const text = `kept: ${describeHolds(holds, this.#init.now())}`;
      this.#record({ directory, decision: 'kept', reason, holds, text });
    } else {
      this.#record({ directory, decision: 'failed', reason, error, text: `not disposed: ${String(error)}` });
    }
  }

  #record(decision: InstanceDecision): void {
    const { logger, publish } = this.#init;
    const { text, ...details } = decision;
    logger[LEVELS[decision.decision]](`instance ${text}`, details);
    publish(decision);
  }
}
