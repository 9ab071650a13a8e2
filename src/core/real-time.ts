/**
 * Time as it was when this library was loaded: fake timers that a test installs later do not replace it. By it goes all that
 * is between the library and a server, so that nothing stands still when nobody advances the fake ones, and nothing is over
 * early when somebody does. What an application waits for (idle times, turns, decisions, the steps of a script) goes by the
 * global timers.
 */
export const realTime = {
  /** Milliseconds that never go back, from any beginning. */
  now: performance.now.bind(performance),
  setTimeout: globalThis.setTimeout.bind(globalThis),
  clearTimeout: globalThis.clearTimeout.bind(globalThis),
};
