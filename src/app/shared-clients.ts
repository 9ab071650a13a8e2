import { LIBRARY_VERSION } from '../core/version.js';
import { differingOption, type ComparableOptions } from './comparable-options.js';
import type { JarvisClient } from './jarvis-client.js';
import { processRegistry } from './platform/process-registry.js';

/** A client that is shared by its key. Other versions of this library read it too: its fields do not change. */
interface SharedClient {
  /** The version of the library that made it. */
  readonly version: string;
  readonly options: ComparableOptions;
  /** Rejects when the start failed. */
  readonly client: Promise<unknown>;
  /** Whether it was closed, or its server has ended for good. */
  isOver(): boolean;
  /** Resolves when it is closed and nothing of it is left running. */
  close(): Promise<void>;
}

const sharedClients = processRegistry<SharedClient>('shared');

/**
 * The client of a key; starts one when there is none, or only one that is over. Callers at the same time share one start, and
 * a start that failed is not kept.
 *
 * @throws {TypeError} when the client of this key was made with other options, or by another version of this library.
 */
export async function sharedClient<T extends JarvisClient>(
  key: string,
  options: ComparableOptions,
  start: () => Promise<T>,
): Promise<T> {
  const present = sharedClients.get(key);
  if (present === undefined || present.isOver()) return startShared(key, options, start, present);
  assertSame(key, present, options);
  return present.client as Promise<T>;
}

function startShared<T extends JarvisClient>(
  key: string,
  options: ComparableOptions,
  start: () => Promise<T>,
  last: SharedClient | undefined,
): Promise<T> {
  let started: T | undefined;
  const run = async (): Promise<T> => {
    // The last server frees its port and its directory first.
    await last?.close();
    started = await start();
    return started;
  };
  const client = run();
  const shared: SharedClient = {
    version: LIBRARY_VERSION,
    options,
    client,
    isOver: () => started !== undefined && isOver(started),
    close: async () => started?.close(),
  };
  sharedClients.set(key, shared);
  client.catch(() => {
    if (sharedClients.get(key) === shared) sharedClients.delete(key);
  });
  return client;
}

function isOver(client: JarvisClient): boolean {
  return client.isClosed || ['failed', 'stopping', 'stopped'].includes(client.server.state);
}

function assertSame(key: string, present: SharedClient, options: ComparableOptions): void {
  const of = `JarvisOpenCode.shared(${JSON.stringify(key)})`;
  if (present.version !== LIBRARY_VERSION) {
    throw new TypeError(
      `${of} was started by version ${present.version} of jarvis-opencode, and this is version ${LIBRARY_VERSION}. ` +
        'Install one version (`npm ls jarvis-opencode` lists them), or use another key.',
    );
  }
  const name = differingOption(present.options, options);
  if (name === undefined) return;
  throw new TypeError(
    `Expected ${name} of ${of} to be as in the call that started it. Pass the same options, use another key, or close it first.`,
  );
}
