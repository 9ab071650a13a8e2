import type { DrainedOptions } from '../app/jarvis-client.js';
import type { MapFunction, MapOptions, MapResult } from '../app/map.js';
import type { EventOptions } from '../client/events/event-stream.js';
import type { RepoClient } from '../client/repo/repo-client.js';
import type { OpenCodeEvent } from '../client/schema/event.js';
import type { Session } from '../client/sessions/session.js';
import type { RepoOverview } from '../core/instance.js';
import type { CloseOptions } from '../lifecycle/server/handle.js';
import type { SessionMap } from '../registry/session-registry.js';

/** What `JarvisOpenCode` and `JarvisFleet` have in common, for code that takes either. */
export interface JarvisLike extends AsyncDisposable {
  readonly sessions: Pick<SessionMap, 'bind' | 'unbind' | 'get' | 'list'>;
  forRepo(directory: string): RepoClient;
  forSession(jarvisSessionID: string): Session;
  events(
    options?: Omit<EventOptions, 'hold'>,
  ): AsyncIterable<OpenCodeEvent> & { readonly ready: Promise<void>; close(): Promise<void> };
  repos(): RepoOverview[];
  map<T>(
    directories: Iterable<string>,
    work: MapFunction<T>,
    options?: MapOptions<T>,
  ): Promise<MapResult<T>[]>;
  drained(options?: DrainedOptions): Promise<void>;
  snapshot(): object;
  close(options?: CloseOptions): Promise<void>;
}
