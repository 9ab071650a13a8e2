import { aFiniteNumber, aSignal, positiveMsOrFalse, type OptionChecks } from '../../core/checks.js';

/** Options of `repo.use()`. */
export interface UseOptions {
  /** Ends the waiting or the use; it rejects with the signal's own reason then. */
  readonly signal?: AbortSignal | undefined;
  /** Uses of a higher priority get a place first; those of the same priority in the order of their calls. @default 0 */
  readonly priority?: number | undefined;
  /** Milliseconds that the function may take, counted from its call; `false` for no limit. @default false */
  readonly timeoutMs?: number | false | undefined;
}

/** What the function of `repo.use()` gets besides the repository. */
export interface UseContext {
  /** Aborts when the use ends before the function does: by its `signal`, by its time limit, or with the client. */
  readonly signal: AbortSignal;
}

/** The check of each option of a use. */
export const useOptionChecks: OptionChecks<UseOptions> = {
  signal: aSignal,
  priority: aFiniteNumber,
  timeoutMs: positiveMsOrFalse,
};
