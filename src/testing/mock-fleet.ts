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
  /**
   * Ends a member like a process that is killed. It is `restarting` until {@link restart}.
   *
   * @param index - of a mock in a list. @default all of them
   */
  crash(name: keyof Mocks & string, index?: number): void;
  /** Lets a member start again after {@link crash}, as soon as the pause of its restart policy is over. */
  restart(name: keyof Mocks & string, index?: number): void;
  /** Lets a member of the fleets fall asleep, unless something holds it: what `stopAfterIdleMs` does in its time. A list: all of them. */
  sleep(name: keyof Mocks & string): Promise<void>;
  /** Ends the servers, and closes the fleets that it made. Idempotent. */
  close(): Promise<void>;
}

/** What the profile of each mock has besides. */
interface ProfileOptions {
  readonly profiles?: Readonly<Record<string, object | undefined>> | undefined;
}

/** The mock of a member, or those of one with a server for each repository (`perRepo`), which get them in the order in which they start. */
export type FleetMocks = FleetMock | readonly FleetMock[];

/**
 * Makes the servers of a fleet of mocks.
 *
 * @param start - makes a fleet with these members.
 * @throws {TypeError} when there is no mock, or something is none.
 */
export function makeMockFleet<
  Mocks extends Readonly<Record<string, FleetMocks>>,
  Fleet extends FleetOfMocks,
  Options extends ProfileOptions,
>(
  mocks: Mocks,
  start: (servers: Readonly<Record<string, object>>, options: Options | undefined) => Promise<Fleet>,
): MockFleetServers<Mocks, Fleet, Options> {
  const entries = Object.entries(mocks).map(([name, given]) => new MockMember(name, given));
  if (entries.length === 0) throw new TypeError('Expected the mocks of mockFleet() to have one, got none.');
  const memberOf = (name: string): MockMember => {
    const found = entries.find((member) => member.name === name);
    if (found === undefined) throw new RangeError(`Expected the name of a mock, got ${shown(name)}.`);
    return found;
  };
  const all = entries.flatMap((member) => member.mocks);
  const fleets = new Set<Fleet>();
  let closing: Promise<void> | undefined;
  async function end(): Promise<void> {
    await Promise.all([...fleets].map((fleet) => fleet.close()));
    await Promise.all(all.map((mock) => mock.close()));
  }
  const close = (): Promise<void> => (closing ??= end());
  return {
    mocks,
    handlers: all.flatMap((mock) => [...mock.handlers]),
    async client(options) {
      const profiles = entries.map((member) => [
        member.name,
        { ...member.profile(), ...options?.profiles?.[member.name] },
      ]);
      const fleet = await start(Object.fromEntries(profiles) as Record<string, object>, options);
      fleets.add(fleet);
      return fleet;
    },
    crash: (name, index) => {
      for (const process of memberOf(name).processes(index)) process.crash();
    },
    restart: (name, index) => {
      for (const process of memberOf(name).processes(index)) process.restart();
    },
    async sleep(name) {
      await Promise.all([...fleets].map((fleet) => fleet.putToSleep(name)));
    },
    close,
    [Symbol.dispose]: () => void close(),
    [Symbol.asyncDispose]: close,
  };
}

/** The mocks of one member, and the process of each. */
class MockMember {
  readonly name: string;
  readonly mocks: readonly FleetMock[];
  readonly #isList: boolean;
  readonly #processes: readonly MockProcess[];

  constructor(name: string, given: unknown) {
    this.name = name;
    this.#isList = Array.isArray(given);
    this.mocks = (this.#isList ? given : [given]) as readonly FleetMock[];
    for (const mock of this.mocks)
      if (typeof (mock as Partial<FleetMock> | undefined)?.restart !== 'function')
        throw new TypeError(
          `Expected ${name} of mockFleet() to be what mockOpenCode() gives, got ${shown(mock)}.`,
        );
    this.#processes = this.mocks.map((mock) => new MockProcess(mock));
  }

  /** @throws {RangeError} for an index that no mock has. */
  processes(index: number | undefined): readonly MockProcess[] {
    if (index === undefined) return this.#processes;
    const process = this.#processes[index];
    if (process === undefined)
      throw new RangeError(`Expected the index of one of ${this.mocks.length} mocks, got ${shown(index)}.`);
    return [process];
  }

  /** The profile of a fleet whose member this is; each fleet gives its repositories their mocks anew. */
  profile(): object {
    const [first] = this.#processes;
    const webSocket = this.mocks[0]?.connectOptions.webSocket;
    if (!this.#isList) return { open: first?.open, webSocket };
    const repositories: string[] = [];
    return {
      perRepo: true,
      webSocket,
      open: async (signal: AbortSignal, repository: string) => {
        if (!repositories.includes(repository)) repositories.push(repository);
        const process = this.#processes[repositories.indexOf(repository)];
        if (process === undefined)
          throw new Error(
            `${this.name} has mocks for ${this.mocks.length} repositories, and this is one more`,
          );
        return process.open(signal);
      },
    };
  }
}
