import { loadedOnce } from '../../core/lazy.js';
import type { DialectSource, OpenCodeMajor } from './dialect.js';
import { openCode1 } from './opencode1.js';

/**
 * Makes the dialects of one client. That of OpenCode 2 is loaded when the first server of that version is spoken to.
 *
 * @param server - the server at hand. @default opencode 1
 * @param onUnloaded - called for an instance that turns out not to be loaded, where no event says so.
 */
export function dialectsOf(
  server: { readonly opencode?: OpenCodeMajor | undefined },
  onUnloaded: (directory: string) => void,
): DialectSource {
  // One for the client: it has room for what it remembers.
  const openCode2 = loadedOnce(async () => {
    const { OpenCode2 } = await import('../opencode2/dialect.js');
    return new OpenCode2(onUnloaded);
  });
  return {
    get opencode() {
      return server.opencode ?? 1;
    },
    dialect: () => (server.opencode === 2 ? openCode2() : openCode1),
  };
}
