import type { OpenCodeEvent } from '../schema/event.js';

/** A listener inside the library. */
export interface HubListener {
  /** Whether it needs events of a type; the hub does not parse those that nobody needs. @default it needs every type */
  wants?(type: string): boolean;
  /** @param bytes - length of the frame it came in; 0 for one that this library made. */
  event(event: OpenCodeEvent, bytes: number): void;
  /** Called when the connection is lost for good. */
  lost(error: unknown): void;
  /** Whether somebody outside this library reads such an event here. @default nobody does */
  reads?(event: OpenCodeEvent): boolean;
}

/** The listeners of a hub: to one directory each, or to all. */
export class HubListeners {
  readonly #byDirectory = new Map<string, Set<HubListener>>();
  readonly #toAll = new Set<HubListener>();

  get size(): number {
    return this.all().length;
  }

  /** Every listener, each once. */
  all(): HubListener[] {
    return [...new Set([this.#toAll, ...this.#byDirectory.values()].flatMap((listeners) => [...listeners]))];
  }

  /** Whether somebody outside this library listens. */
  get hasSubscribers(): boolean {
    return this.all().some((listener) => listener.reads !== undefined);
  }

  /** Those to all directories. */
  toAll(): Iterable<HubListener> {
    return this.#toAll;
  }

  /** Those to one directory alone, by directory. */
  byDirectory(): Iterable<readonly [string, Iterable<HubListener>]> {
    return this.#byDirectory;
  }

  /** Adds a listener; the returned function takes it off. */
  add(directory: string | undefined, listener: HubListener): () => void {
    if (directory === undefined) {
      this.#toAll.add(listener);
      return () => this.#toAll.delete(listener);
    }
    const listeners = this.#byDirectory.get(directory) ?? new Set();
    this.#byDirectory.set(directory, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#byDirectory.get(directory) === listeners)
        this.#byDirectory.delete(directory);
    };
  }

  /** Takes off who listens to one directory alone from outside of the library. @returns those that were on. */
  takeSubscribers(directory: string): HubListener[] {
    const listeners = this.#byDirectory.get(directory) ?? new Set();
    const subscribers = [...listeners].filter((listener) => listener.reads !== undefined);
    for (const subscriber of subscribers) listeners.delete(subscriber);
    if (listeners.size === 0) this.#byDirectory.delete(directory);
    return subscribers;
  }

  /** Those who get an event of the directory. */
  *of(directory: string | undefined): Generator<HubListener> {
    yield* this.#toAll;
    const listeners = directory === undefined ? undefined : this.#byDirectory.get(directory);
    if (listeners !== undefined) yield* listeners;
  }

  /** Whether anybody needs events of a type from a directory. */
  isNeeded(type: string, directory: string | undefined): boolean {
    return this.#some(directory, (listener) => listener.wants?.(type) ?? true);
  }

  /** Whether somebody outside this library reads such an event. */
  hasReader(event: OpenCodeEvent): boolean {
    return this.#some(event.directory, (listener) => listener.reads?.(event) === true);
  }

  /** Takes every listener off. @returns those that were on. */
  clear(): HubListener[] {
    const listeners = this.all();
    this.#byDirectory.clear();
    this.#toAll.clear();
    return listeners;
  }

  /** Without the generator of {@link of}: the hub asks this of every frame. */
  #some(directory: string | undefined, matches: (listener: HubListener) => boolean): boolean {
    for (const listener of this.#toAll) if (matches(listener)) return true;
    const listeners = directory === undefined ? undefined : this.#byDirectory.get(directory);
    if (listeners !== undefined) for (const listener of listeners) if (matches(listener)) return true;
    return false;
  }
}
