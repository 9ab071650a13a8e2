import type { ServerHandle } from 'jarvis-opencode';

/** A handle of a server that is always ready; what is sent to `url` is the test's own affair. */
export function fakeHandle(url = 'http://127.0.0.1:9'): ServerHandle {
  return {
    url,
    version: '1.18.33',
    pid: undefined,
    state: 'ready',
    closed: new Promise(() => undefined),
    on: () => () => undefined,
    restart: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
