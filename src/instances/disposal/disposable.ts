import type { DisposeReason, Hold } from '../../core/instance.js';

/** The instance to dispose, as the registry keeps it. */
export interface DisposableInstance {
  readonly directory: string;
  readonly loaded: boolean;
  holds(): readonly Hold[];
  closeGate(): () => void;
  unload(reason: DisposeReason): void;
  /** Notes that nobody knows whether the instance is still there. */
  markUnknown(reason: string): void;
}

/** One instance, as a forced disposal needs it. */
export interface EndableInstance extends DisposableInstance {
  /** The ids of the sessions at work there. */
  activityIDs(kind: 'session-busy'): readonly string[];
  /** Makes new turns wait until the returned function is called; the requests of a running turn pass. */
  closeTurnGate(): () => void;
  /** Resolves when no turn runs and no session is at work. */
  turnsEnded(): Promise<void>;
  /** Resolves when no request is under way. */
  drained(): Promise<void>;
}

/** Some or all instances of a server, with the gate where everybody waits who needs one of them. */
export interface DisposableInstances {
  /** Those that are loaded now. */
  list(): DisposableInstance[];
  closeGate(): () => void;
}
