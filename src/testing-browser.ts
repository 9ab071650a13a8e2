// Every export of this file is public API in a browser: the test kit without what needs a process.
import { JarvisOpenCode } from './app/jarvis-opencode-browser.js';
import type { JarvisOptions } from './app/options.js';
import type { MockFleetOptions } from './fleet/mock-fleet-options.js';
import { JarvisFleet } from './fleet/jarvis-fleet-browser.js';
import { withClients, type WithClients } from './testing/clients.js';
import { makeMockFleet, type MockFleetServers } from './testing/mock-fleet.js';
import { makeMockServer } from './testing/mock-opencode.js';
import type { MockOpenCodeOptions, MockServer } from './testing/mock-types.js';

export * from './testing/surface.js';
export type { MockFleetOptions } from './fleet/mock-fleet-options.js';

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

/** Several OpenCode servers in memory, and fleets of them. */
export type MockFleet<Mocks> = MockFleetServers<
  Mocks,
  JarvisFleet<keyof Mocks & string>,
  MockFleetOptions<keyof Mocks & string>
>;

/**
 * Makes a fleet of servers in memory, to test an application that uses `JarvisFleet`. The first mock is the default member. Their
 * directories count as those of one machine, so one is used through one member only. A list of mocks is a member with `perRepo`: each repository
 * gets one of them, in the order in which they start.
 *
 * @throws {TypeError} when there is no mock, or something is none.
 *
 * @example
 * ```ts
 * const mocks = mockFleet({ main: mockOpenCode(), heavy: mockOpenCode() });
 * const server = setupServer(...mocks.handlers);
 * server.listen({ onUnhandledRequest: 'error' });
 * const fleet = await mocks.client({ route: (directory) => (directory === '/srv/big' ? 'heavy' : undefined) });
 * mocks.mocks.heavy.reply('It is large.');
 * ```
 */
export function mockFleet<
  const Mocks extends Readonly<Record<string, MockOpenCode | readonly MockOpenCode[]>>,
>(mocks: Mocks): MockFleet<Mocks> {
  type Name = keyof Mocks & string;
  return makeMockFleet(mocks, (servers, { profiles: _, ...options }: MockFleetOptions<Name> = {}) =>
    JarvisFleet.ofMocks<Name>({ ...options, servers }),
  );
}
