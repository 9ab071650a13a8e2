import type { HttpHandler } from 'msw';
import { shown } from '../core/checks.js';
import { MockProcess, type StoppableServer } from './mock-handle.js';

/** A mock, as a fleet of mocks needs it. */
export interface FleetMock extends StoppableServer {
  readonly handlers: readonly HttpHandler[];
  readonly connectOptions: StoppableServer['connectOptions'] & { readonly webSocket: unknown };
  close(): Promise<void>;
}

/** A fleet, as the kit needs it. */
export interface FleetOfMocks {
  putToSleep(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Several OpenCode servers in memory, one for each member of a fleet, and fleets of them. */
export interface MockFleetServers<Mocks, Fleet, Options> extends Disposable, AsyncDisposable {
  /** The mocks by name. */
  readonly mocks: Mocks;
  /** Those of all mocks, for `setupServer(...fleet.handlers)` or `setupWorker(...fleet.handlers)`. */
  readonly handlers: readonly HttpHandler[];
  /** Makes a fleet whose members are the mocks; it is closed with them. */
  client(options?: Options): Promise<Fleet>;
  /** Ends a member like a process that is killed. It is `restarting` until {@link restart}. */
  crash(name: keyof Mocks & string): void;
  /** Lets a member start again after {@link crash}, as soon as the pause of its restart policy is over. */
  restart(name: keyof Mocks & string): void;
  /** Lets a member of the fleets fall asleep, unless something holds it: what `stopAfterIdleMs` does in its time. */
  sleep(name: keyof Mocks & string): Promise<void>;
  /** Ends the servers, and closes the fleets that it made. Idempotent. */
  close(): Promise<void>;
}

/** What the profile of each mock has besides. */
interface ProfileOptions {
  readonly profiles?: Readonly<Record<string, object | undefined>> | undefined;
}

/**
 * Makes the servers of a fleet of mocks.
 *
 * @param start - makes a fleet with these members.
 * @throws {TypeError} when there is no mock, or something is none.
 */
export function makeMockFleet<
  Mocks extends Readonly<Record<string, FleetMock>>,
  Fleet extends FleetOfMocks,
  Options extends ProfileOptions,
>(
  mocks: Mocks,
  start: (servers: Readonly<Record<string, object>>, options: Options | undefined) => Promise<Fleet>,
): MockFleetServers<Mocks, Fleet, Options> {
  const entries = Object.entries(mocks);
  if (entries.length === 0) throw new TypeError('Expected the mocks of mockFleet() to have one, got none.');
  const processes = new Map<string, MockProcess>();
  for (const [name, mock] of entries) {
    if (typeof (mock as Partial<FleetMock> | undefined)?.restart !== 'function')
      throw new TypeError(
        `Expected ${name} of mockFleet() to be what mockOpenCode() gives, got ${shown(mock)}.`,
      );
    processes.set(name, new MockProcess(mock));
  }
  const processOf = (name: string): MockProcess => {
    const found = processes.get(name);
    if (found === undefined) throw new RangeError(`Expected the name of a mock, got ${shown(name)}.`);
    return found;
  };
  const fleets = new Set<Fleet>();
  let closing: Promise<void> | undefined;
  async function end(): Promise<void> {
    await Promise.all([...fleets].map((fleet) => fleet.close()));
    await Promise.all(entries.map(([, mock]) => mock.close()));
  }
  const close = (): Promise<void> => (closing ??= end());
  return {
    mocks,
    handlers: entries.flatMap(([, mock]) => [...mock.handlers]),
    async client(options) {
      const profile = ([name, mock]: readonly [string, FleetMock]): [string, object] => [
        name,
        {
          open: processOf(name).open,
          webSocket: mock.connectOptions.webSocket,
          ...options?.profiles?.[name],
        },
      ];
      const fleet = await start(Object.fromEntries(entries.map(profile)), options);
      fleets.add(fleet);
      return fleet;
    },
    crash: (name) => processOf(name).crash(),
    restart: (name) => processOf(name).restart(),
    async sleep(name) {
      await Promise.all([...fleets].map((fleet) => fleet.putToSleep(name)));
    },
    close,
    [Symbol.dispose]: () => void close(),
    [Symbol.asyncDispose]: close,
  };
}
