// Every export of this file is public API in a browser: the test kit without what needs a process.
import { JarvisOpenCode } from './app/jarvis-opencode-browser.js';
import type { JarvisOptions } from './app/options.js';
import type { FleetOptions } from './fleet/fleet-options.js';
import type { OpenProfile } from './fleet/profiles.js';
import { JarvisFleet } from './fleet/jarvis-fleet-browser.js';
import { withClients, type WithClients } from './testing/clients.js';
import { makeMockFleet, type MockFleetServers } from './testing/mock-fleet.js';
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

/** Options of the client of a fleet of mocks: those of `JarvisFleet.start()`, with what a profile may say of each mock. */
export interface MockFleetOptions<Name extends string> extends Omit<
  FleetOptions<Record<Name, unknown>>,
  'servers'
> {
  /** What a mock's profile has besides, e.g. `{ heavy: { stopAfterIdleMs: 60_000 } }`. */
  readonly profiles?: { readonly [K in Name]?: Omit<OpenProfile, 'open'> } | undefined;
}

/** Several OpenCode servers in memory, and fleets of them. */
export interface MockFleet<Mocks> extends MockFleetServers<Mocks> {
  /** Makes a fleet whose members are the mocks; it is closed with them. */
  client(options?: MockFleetOptions<keyof Mocks & string>): Promise<JarvisFleet<keyof Mocks & string>>;
  /** Lets a member of the fleets fall asleep, unless something holds it: what `stopAfterIdleMs` does in its time. */
  sleep(name: keyof Mocks & string): Promise<void>;
}

/**
 * Makes a fleet of servers in memory, to test an application that uses `JarvisFleet`. The first mock is the default member. Their
 * directories count as those of one machine, so one is used through one member only.
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
export function mockFleet<const Mocks extends Readonly<Record<string, MockOpenCode>>>(
  mocks: Mocks,
): MockFleet<Mocks> {
  const parts = makeMockFleet(mocks);
  const fleets = new Set<JarvisFleet<keyof Mocks & string>>();
  let closing: Promise<void> | undefined;
  async function end(): Promise<void> {
    await Promise.all([...fleets].map((fleet) => fleet.close()));
    await parts.close();
  }
  const close = (): Promise<void> => (closing ??= end());
  return {
    ...parts.servers,
    async client({ profiles, ...options } = {}) {
      const given: Readonly<Record<string, object | undefined>> = profiles ?? {};
      const servers = Object.fromEntries(
        Object.entries(parts.profiles).map(([name, profile]) => [name, { ...profile, ...given[name] }]),
      );
      const fleet = await JarvisFleet.ofMocks<keyof Mocks & string>({ ...options, servers });
      fleets.add(fleet);
      return fleet;
    },
    async sleep(name) {
      await Promise.all([...fleets].map((fleet) => fleet.putToSleep(name)));
    },
    close,
    [Symbol.dispose]: () => void close(),
    [Symbol.asyncDispose]: close,
  };
}
