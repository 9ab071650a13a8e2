import { channel } from 'node:diagnostics_channel';
import { WebSocket } from 'ws';
import { canonicalPath } from '../lifecycle/paths/canonical-path.js';
import { usageOf } from '../lifecycle/process/usage.js';
import { configLine } from '../lifecycle/server/config-line.js';
import type { Platform } from './platform.js';

/** The diagnostics channel that publishes every decision about an instance. */
const instanceChannel = channel('jarvis-opencode:instance');

/** OpenCode 1.18.33 keeps 2 Mi UTF-16 code units of output and sends them in one message: 6 MiB of UTF-8 at most. */
const MAX_TERMINAL_MESSAGE_BYTES = 16 * 1024 * 1024;

class BoundedWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { maxPayload: MAX_TERMINAL_MESSAGE_BYTES });
  }
}

/** Node has a file system, processes and a diagnostics channel. */
export const nodePlatform: Platform = {
  webSocket: BoundedWebSocket,
  canonicalize: canonicalPath,
  configLine,
  usage: usageOf,
  publish: (decision) => {
    if (instanceChannel.hasSubscribers) instanceChannel.publish(decision);
  },
};
