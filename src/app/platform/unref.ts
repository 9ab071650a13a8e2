import { nodePlatform } from './node.js';
import type { Platform } from './platform.js';

/** How often the timer fires that keeps the process alive; it does nothing. */
const KEEP_ALIVE_MS = 60_000;

/** Node, for a client that keeps its process alive only while a call or a turn runs. */
export function unrefPlatform(): Platform {
  let running = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    ...nodePlatform,
    openEvents: async (url, init) => {
      const { unrefFetch } = await import('../../lifecycle/server/unref-fetch.js');
      return unrefFetch(url, init);
    },
    keepAlive: () => {
      running += 1;
      timer ??= setInterval(() => undefined, KEEP_ALIVE_MS);
      return () => {
        running -= 1;
        if (running > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };
}
