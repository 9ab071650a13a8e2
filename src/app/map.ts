import {
  aFunction,
  assertOptions,
  positiveIntegerOrInfinity,
  shown,
  type OptionChecks,
} from '../core/checks.js';
import type { RepoClient } from '../client/repo/repo-client.js';
import { useOptionChecks, type UseContext, type UseOptions } from '../client/repo/use.js';

/** What became of one directory of `jarvis.map()`. */
export type MapResult<T> =
  | {
      readonly status: 'fulfilled';
      /** As it was given. */
      readonly directory: string;
      readonly value: T;
    }
  | {
      readonly status: 'rejected';
      /** As it was given. */
      readonly directory: string;
      readonly reason: unknown;
    };

/** What `onProgress` of `jarvis.map()` gets each time a directory is done. */
export interface MapProgress<T> {
  readonly result: MapResult<T>;
  /** The position of the directory, counted from 0. */
  readonly index: number;
  /** How many directories are done. */
  readonly done: number;
  readonly total: number;
}

/** Options of `jarvis.map()`. */
export interface MapOptions<T> extends UseOptions {
  /** Ends what runs, and begins nothing more; what has not ended is rejected with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the function may take for one directory, counted from its call; `false` for no limit. @default false */
  readonly timeoutMs?: number | false | undefined;
  /**
   * For how many directories at a time the function may run; with more than `idle.maxLoaded` the rest waits for a place.
   *
   * @default `idle.maxLoaded`; 8 with `idle: false`
   */
  readonly concurrency?: number | undefined;
  /**
   * Called each time a directory is done; a promise that it returns is awaited before another directory takes the place. If it throws or
   * rejects, nothing more begins, what runs goes on, and `map()` rejects with the same.
   */
  readonly onProgress?: ((progress: MapProgress<T>) => unknown) | undefined;
}

/** Works on one directory. */
export type MapFunction<T> = (
  repo: RepoClient,
  directory: string,
  index: number,
  context: UseContext,
) => T | PromiseLike<T>;

const mapOptionChecks: OptionChecks<MapOptions<unknown>> = {
  ...useOptionChecks,
  concurrency: positiveIntegerOrInfinity,
  onProgress: aFunction,
};

/** What {@link mapDirectories} needs of the client. */
export interface MapInit {
  readonly forRepo: (directory: string) => RepoClient;
  /** The default of the option. */
  readonly concurrency: number;
}

/** Uses one directory after the other, a few at a time, and collects what became of each. */
export async function mapDirectories<T>(
  directories: Iterable<string>,
  work: MapFunction<T>,
  options: MapOptions<T> = {},
  init: MapInit,
): Promise<MapResult<T>[]> {
  assertDirectories(directories);
  aFunction('the function of jarvis.map()', work);
  assertOptions('jarvis.map()', mapOptionChecks, options);
  const { concurrency = init.concurrency, onProgress, ...useOptions } = options;
  const all = [...directories];
  const results = new Array<MapResult<T>>(all.length);
  let hasFailed = false;
  let next = 0;
  let done = 0;

  const settle = async (directory: string, index: number): Promise<MapResult<T>> => {
    try {
      useOptions.signal?.throwIfAborted();
      const repo = init.forRepo(directory);
      const value = await repo.use((used, context) => work(used, directory, index, context), useOptions);
      return { status: 'fulfilled', directory, value };
    } catch (reason) {
      return { status: 'rejected', directory, reason };
    }
  };
  const takeTurns = async (): Promise<void> => {
    while (next < all.length && !hasFailed) {
      const index = next++;
      const result = await settle(all[index] as string, index);
      results[index] = result;
      done += 1;
      if (!hasFailed) await onProgress?.({ result, index, done, total: all.length });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(concurrency, all.length) }, takeTurns));
  } catch (error) {
    hasFailed = true;
    throw error;
  }
  return results;
}

function assertDirectories(directories: unknown): void {
  const isIterable =
    typeof directories === 'object' && directories !== null && Symbol.iterator in directories;
  if (!isIterable)
    throw new TypeError(`Expected the directories of jarvis.map() to be a list, got ${shown(directories)}.`);
}
