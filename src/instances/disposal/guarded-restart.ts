import { abortable, AbortScope } from '../../core/abort.js';
import { TimeoutError } from '../../errors.js';
import type { DisposableInstances } from './disposable.js';
import { DISPOSE_TIMEOUT_MS } from './disposer.js';
import type { DisposalsUnderWay } from './disposals-under-way.js';
import { refuseBusy, refuseOwnHolds } from './refusal.js';

/** What a guarded restart needs from outside. */
export interface GuardedRestartInit {
  readonly underWay: DisposalsUnderWay;
  /** Reads what the server does in a directory and makes it the holds of the instance; rejects when it cannot be read. */
  readonly confirm: (directory: string, signal: AbortSignal) => Promise<void>;
  /** Resolves when the event stream delivers. */
  readonly streamLive: () => Promise<void>;
  /** Ends the questions before a restart with its reason. */
  readonly closed: AbortSignal;
}

/** Restarts the server as carefully as all instances are disposed. */
export class GuardedRestart {
  readonly #init: GuardedRestartInit;

  constructor(init: GuardedRestartInit) {
    this.#init = init;
  }

  /**
   * Restarts the server, with everybody waiting at the gate of the instances.
   *
   * @param force - restarts at once, whatever holds an instance; it ends the disposals under way too.
   * @throws {DisposeRefusedError} when something holds an instance; nothing was restarted then.
   * @throws {TimeoutError} when the server does not answer in time what it does.
   */
  async run(instances: DisposableInstances, restart: () => Promise<void>, force: boolean): Promise<void> {
    if (force) return restart();
    const { underWay } = this.#init;
    await underWay.whenNone(undefined, () => {
      refuseOwnHolds(instances.list());
      const restarting = this.#restartIdle(instances, restart);
      underWay.addOfAll(restarting);
      return restarting;
    });
  }

  async #restartIdle(instances: DisposableInstances, restart: () => Promise<void>): Promise<void> {
    const { confirm, streamLive, closed } = this.#init;
    const limit = new AbortScope([closed], {
      timeoutMs: DISPOSE_TIMEOUT_MS,
      reason: (timeoutMs) => new TimeoutError('Asking before the restart', { phase: 'dispose', timeoutMs }),
    });
    const { signal } = limit;
    const openGate = instances.closeGate();
    try {
      await abortable(streamLive(), signal);
      await refuseBusy(instances, confirm, signal);
      await restart();
    } finally {
      limit.end();
      openGate();
    }
  }
}
