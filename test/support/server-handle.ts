import type { ServerChange, ServerHandle, ServerState } from 'jarvis-opencode';

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

/** A handle of a server whose state the test changes. */
export interface ChangingHandle extends ServerHandle {
  change(change: ServerChange): void;
}

/** Makes one that is ready. */
export function changingHandle(): ChangingHandle {
  const listeners = new Set<(change: ServerChange) => void>();
  let state: ServerState = 'ready';
  const handle = {
    ...fakeHandle(),
    on: (event: string, listener: (change: never) => void) => {
      if (event === 'change') listeners.add(listener as (change: ServerChange) => void);
      return () => undefined;
    },
    change: (change: ServerChange) => {
      ({ state } = change);
      for (const listener of listeners) listener(change);
    },
  };
  return Object.defineProperty(handle, 'state', { get: () => state }) as ChangingHandle;
}
