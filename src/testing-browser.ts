// Every export of this file is public API in a browser: the test kit without what needs a process.
import { JarvisOpenCode } from './app/jarvis-opencode-browser.js';
import type { JarvisOptions } from './app/options.js';
import { withClients, type WithClients } from './testing/clients.js';
import { makeMockServer } from './testing/mock-opencode.js';
import type { MockOpenCodeOptions, MockServer } from './testing/mock-types.js';

export * from './testing/surface.js';

/** An OpenCode server in memory, with its scripting API and clients that are closed with it. */
export interface MockOpenCode extends MockServer, WithClients<JarvisOpenCode, JarvisOptions> {}

/**
 * Makes an OpenCode server in memory that behaves like a real one, without a port, a key or a model.
 *
 * @throws {TypeError} for an invalid option, e.g. a `url` that is not an http URL, or a model that is not written as
 * `provider/model`.
 * @throws {Error} when another open mock has this `url`.
 *
 * @example
 * ```ts
 * const mock = mockOpenCode();
 * const server = setupServer(...mock.handlers);
 * server.listen({ onUnhandledRequest: 'error' });
 * mock.reply('It is a calculator.');
 * const jarvis = await mock.client();
 * const session = await jarvis.forRepo('/home/me/app').sessions.create();
 * const { text } = await session.prompt('What does this project do?');
 * ```
 */
export function mockOpenCode(options: MockOpenCodeOptions = {}): MockOpenCode {
  const server = makeMockServer(options, mockOpenCode);
  return withClients(server, (clientOptions?: JarvisOptions) =>
    JarvisOpenCode.connect({ ...server.connectOptions, ...clientOptions }),
  );
}
