import type { Platform } from './platform.js';

/** A browser has no file system, no processes, no context of asynchronous work and no diagnostics channel. */
export const browserPlatform: Platform = {
  loadWebSocket: () => Promise.resolve(globalThis.WebSocket),
  canonicalize: () => {
    throw new TypeError("Paths can only be 'remote' here: there is no file system.");
  },
  repositoryOf: () => undefined,
  configLine: () => undefined,
  usage: () => undefined,
  asyncContext: () => undefined,
  publish: () => undefined,
};
