/**
 * The timers of the moment when this library was loaded: fake timers that a test installs later do not replace them. Everything
 * between the library and a server uses them, so that it neither stands still when nobody advances fake timers nor ends early when
 * somebody does. What an application waits for (idle times, turns, decisions, the steps of a script) uses the global timers.
 */
export const realTime = {
  /** Milliseconds that never go back, from any beginning. */
  now: performance.now.bind(performance),
  setTimeout: globalThis.setTimeout.bind(globalThis),
  clearTimeout: globalThis.clearTimeout.bind(globalThis),
};
