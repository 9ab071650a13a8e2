import type { HttpHandler } from 'msw';
import { shown } from '../core/checks.js';
import { MockProcess, type StoppableServer } from './mock-handle.js';

/** A mock, as a fleet of mocks needs it. */
export interface FleetMock extends StoppableServer {
  readonly handlers: readonly HttpHandler[];
  readonly connectOptions: StoppableServer['connectOptions'] & { readonly webSocket: unknown };
  close(): Promise<void>;
}

/** Several OpenCode servers in memory, one for each member of a fleet. */
export interface MockFleetServers<Mocks> extends Disposable, AsyncDisposable {
  /** The mocks by name. */
  readonly mocks: Mocks;
  /** Those of all mocks, for `setupServer(...fleet.handlers)` or `setupWorker(...fleet.handlers)`. */
  readonly handlers: readonly HttpHandler[];
  /** Ends a member like a process that is killed. It is `restarting` until {@link restart}. */
  crash(name: keyof Mocks & string): void;
  /** Lets a member start again after {@link crash}, as soon as the pause of its restart policy is over. */
  restart(name: keyof Mocks & string): void;
  /** Ends the servers, and closes the fleets that it made. Idempotent. */
  close(): Promise<void>;
}

/** The parts of which an entry makes the public fleet of mocks. */
export interface MockFleetParts<Mocks> {
  readonly servers: Omit<
    MockFleetServers<Mocks>,
    'close' | typeof Symbol.dispose | typeof Symbol.asyncDispose
  >;
  /** A profile for each mock. */
  readonly profiles: Readonly<Record<string, object>>;
  /** Closes the mocks. */
  close(): Promise<void>;
}

/** Makes a fleet of mocks. @throws {TypeError} when there is none, or something is no mock. */
export function makeMockFleet<Mocks extends Readonly<Record<string, FleetMock>>>(
  mocks: Mocks,
): MockFleetParts<Mocks> {
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
  return {
    servers: {
      mocks,
      handlers: entries.flatMap(([, mock]) => [...mock.handlers]),
      crash: (name) => processOf(name).crash(),
      restart: (name) => processOf(name).restart(),
    },
    profiles: Object.fromEntries(
      entries.map(([name, mock]) => [
        name,
        { open: processOf(name).open, webSocket: mock.connectOptions.webSocket },
      ]),
    ),
    close: async () => {
      await Promise.all(entries.map(([, mock]) => mock.close()));
    },
  };
}
