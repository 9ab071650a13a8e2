import { AsyncLocalStorage } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import { canonicalPath } from '../../lifecycle/paths/canonical-path.js';
import { sharedGitDirectory } from '../../lifecycle/paths/git-directory.js';
import { usageOf } from '../../lifecycle/process/usage.js';
import type { WebSocketConstructor } from '../../client/pty/connection.js';
import type { AsyncContext } from '../../core/async-context.js';
import { configLine } from '../../lifecycle/server/launch/config-line.js';
import { nodeTracing } from './node-tracing.js';
import { debugLogger } from './debug-logger.js';
import type { Platform } from './platform.js';

/** The diagnostics channel that publishes every decision about an instance. */
const instanceChannel = channel('jarvis-opencode:instance');

/** OpenCode 1.18.33 keeps 2 Mi UTF-16 code units of output and sends them in one message: 6 MiB of UTF-8 at most. */
const MAX_TERMINAL_MESSAGE_BYTES = 16 * 1024 * 1024;

/** The runtime's own WebSocket, else that of the package `ws`, which is loaded only then (Node 20 has none of its own). */
async function loadWebSocket(): Promise<WebSocketConstructor> {
  const own: WebSocketConstructor | undefined = globalThis.WebSocket;
  if (own !== undefined) return own;
  const { WebSocket } = await import('ws');
  return class BoundedWebSocket extends WebSocket {
    constructor(url: string) {
      super(url, { maxPayload: MAX_TERMINAL_MESSAGE_BYTES });
    }
  };
}

function asyncContext<T>(): AsyncContext<T> {
  const storage = new AsyncLocalStorage<T>();
  return { get: () => storage.getStore(), run: (value, work) => storage.run(value, work) };
}

/** Node has a file system, processes, contexts of asynchronous work and a diagnostics channel. */
export const nodePlatform: Platform = {
  loadWebSocket,
  canonicalize: canonicalPath,
  repositoryOf: sharedGitDirectory,
  configLine,
  usage: usageOf,
  logger: debugLogger,
  asyncContext,
  diagnose: async (server) => {
    const { diagnoseMachine } = await import('../../lifecycle/diagnosis/machine.js');
    return diagnoseMachine(server);
  },
  tracing: nodeTracing,
  publish: (decision) => {
    if (instanceChannel.hasSubscribers) instanceChannel.publish(decision);
  },
};
