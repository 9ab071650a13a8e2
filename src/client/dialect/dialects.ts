import { OpenCode2 } from '../opencode2/dialect.js';
import type { Dialect, OpenCodeMajor } from './dialect.js';
import { openCode1 } from './opencode1.js';

/**
 * Makes the dialects of one client.
 *
 * @param onUnloaded - called for an instance that turns out not to be loaded, where no event says so.
 */
export function dialects(onUnloaded: (directory: string) => void): (opencode?: OpenCodeMajor) => Dialect {
  // Made when it is needed: it has room for what it remembers.
  let openCode2: OpenCode2 | undefined;
  return (opencode) => (opencode === 2 ? (openCode2 ??= new OpenCode2(onUnloaded)) : openCode1);
}
