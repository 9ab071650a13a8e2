import type { ServerHandle } from '../lifecycle/server/handle.js';
import { JarvisClient } from './jarvis-client.js';
import type { JarvisOptions } from './options.js';
import { browserPlatform } from './platform/browser.js';

/**
 * One OpenCode server and the repositories behind it, in a browser: it connects to a server and starts none.
 *
 * @example
 * ```ts
 * const jarvis = await JarvisOpenCode.connect({ url: 'http://127.0.0.1:4096' });
 * const session = await jarvis.forRepo('/home/me/app').sessions.create();
 * const { text } = await session.prompt('What does this project do?');
 * ```
 */
export class JarvisOpenCode extends JarvisClient {
  /**
   * Makes a client of a server that you have a handle of.
   *
   * @throws {TypeError} for an option that is unknown or of the wrong type, and a `restore` that no `snapshot()` gave.
   * @throws {RangeError} for an option out of bounds.
   */
  constructor(server: ServerHandle, options?: JarvisOptions) {
    super(server, options, browserPlatform);
  }
}
