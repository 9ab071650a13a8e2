/**
 * A handle of a server that something else starts: a tunnel, a container, a pod. What `open()` of a fleet's profile returns, and what
 * `new JarvisOpenCode(handle)` takes. The client owns the server: `close()` stops it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerEvents, ServerExit, ServerHandle, ServerState } from 'jarvis-opencode';

/** What is known of the server. */
export interface RemoteServer {
  /** Where it is reached from here. */
  readonly url: string;
  readonly password: string;
  /** Resolves when it, or the way to it, has ended by itself. Never rejects. */
  readonly ended: Promise<ServerExit>;
  /** Ends it, and resolves when it is gone. */
  readonly stop: () => Promise<void>;
}

type Listeners = { readonly [E in keyof ServerEvents]: Set<(value: ServerEvents[E]) => void> };

/** Waits until the server is healthy, and makes its handle; on a failure it is stopped first. */
export async function remoteHandle(server: RemoteServer, signal: AbortSignal): Promise<ServerHandle> {
  const { url, password } = server;
  const authorization = `Basic ${btoa(`opencode:${password}`)}`;
  const ended = server.ended.then((exit) => {
    throw new Error(
      `The server at ${url} ended before it was ready (code ${exit.code}, signal ${exit.signal}).`,
    );
  });
  try {
    const version = await Promise.race([whenHealthy(url, authorization, signal), ended]);
    return handleOf(server, authorization, version);
  } catch (error) {
    await server.stop();
    throw error;
  } finally {
    ended.catch(() => undefined);
  }
}

async function whenHealthy(url: string, authorization: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    signal.throwIfAborted();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(2_000)]);
    const answer = await fetch(`${url}/global/health`, { headers: { authorization }, signal: limit }).catch(
      () => undefined,
    );
    if (answer?.status === 401) throw new Error(`The server at ${url} refuses the password.`);
    if (answer?.ok === true) return ((await answer.json()) as { readonly version: string }).version;
    await sleep(200, undefined, { signal });
  }
}

function handleOf({ url, ended, stop }: RemoteServer, authorization: string, version: string): ServerHandle {
  const listeners: Listeners = { state: new Set(), change: new Set(), log: new Set() };
  let state: ServerState = 'ready';
  let stopping: Promise<void> | undefined;
  const enter = (next: ServerState, exit?: ServerExit): void => {
    state = next;
    for (const listener of listeners.change) listener({ state: next, exit });
    for (const listener of listeners.state) listener(next);
  };
  const end = async (): Promise<void> => {
    if (state === 'failed') return;
    enter('stopping');
    await stop();
    enter('stopped');
  };
  const handle: ServerHandle = {
    url,
    version,
    // No process of this machine; `authorization` is not to be printed.
    pid: undefined,
    isOwned: true,
    get state() {
      return state;
    },
    closed: ended.then((exit) => {
      if (state === 'ready') enter('failed', exit);
      return exit;
    }),
    on: (event, listener) => {
      listeners[event].add(listener);
      return () => void listeners[event].delete(listener);
    },
    restart: () => Promise.reject(new TypeError('Stop this server, and open another one.')),
    stop: () => (stopping ??= end()),
    [Symbol.asyncDispose]: () => handle.stop(),
  };
  return Object.defineProperty(handle, 'authorization', { value: authorization, enumerable: false });
}
