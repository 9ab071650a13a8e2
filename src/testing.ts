// Every export of this file is public API: adding one is a promise, removing one breaks a user.
import type { JarvisOptions } from './app/options.js';
import { JarvisOpenCode } from './app/jarvis-opencode.js';
import { withClients, type WithClients } from './testing/clients.js';
import { makeMockServer } from './testing/mock-opencode.js';
import type { MockOpenCodeOptions, MockServer } from './testing/mock-types.js';
import { startRealServer, type RealOpenCodeOptions, type RealServer } from './testing/real/real-opencode.js';

export * from './testing/surface.js';
export type { RealOpenCodeOptions, RealServer } from './testing/real/real-opencode.js';

/** An OpenCode server in memory, and what a test may tell it and ask it. */
export type MockOpenCode = MockServer & WithClients<JarvisOpenCode, JarvisOptions>;

/**
 * Makes an OpenCode server in memory that behaves like a real one, without a port, a key or a model.
 *
 * @throws {TypeError} for a `url` that is no http URL, and a model that is not written as `provider/model`.
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

/** A real OpenCode server, told the same as a mock. */
export type RealOpenCode = RealServer & WithClients<JarvisOpenCode, JarvisOptions>;

/**
 * Starts the user's own `opencode` with directories of its own and a scripted model on loopback: for end-to-end tests with
 * the scripts of the mock. It shares nothing with the user of the machine, and `close()` leaves nothing behind.
 *
 * @throws {ServerStartError} when there is no `opencode`, or it does not become ready.
 * @throws {UnsupportedServerError} when it is not a version this library can talk to.
 */
export async function realOpenCode(options: RealOpenCodeOptions = {}): Promise<RealOpenCode> {
  const server = await startRealServer(options, async (start) => {
    const owner = await JarvisOpenCode.start({ ...start, idle: false });
    return { url: owner.server.url, close: () => owner.close() };
  });
  return withClients(server, (clientOptions?: JarvisOptions) =>
    JarvisOpenCode.connect({ ...server.connectOptions, ...clientOptions }),
  );
}
