import type { ServerChange, ServerEvents, ServerState } from './handle.js';

/** Keeps the state of a server, and tells listeners of its changes and its output. */
export class ServerEventEmitter {
  readonly #listeners: { [E in keyof ServerEvents]: Set<(value: ServerEvents[E]) => void> } = {
    state: new Set(),
    change: new Set(),
    log: new Set(),
  };
  #state: ServerState;

  constructor(first: ServerState = 'starting') {
    this.#state = first;
  }

  get state(): ServerState {
    return this.#state;
  }

  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void {
    this.#listeners[event].add(listener);
    return () => this.#listeners[event].delete(listener);
  }

  /** Notes a state; one that is not new is told only as an attempt of a restart. */
  enter(state: ServerState, details: Omit<ServerChange, 'state'> = {}): void {
    const isNew = state !== this.#state;
    if (!isNew && details.attempt === undefined) return;
    this.#state = state;
    this.#emit('change', { state, ...details });
    if (isNew) this.#emit('state', state);
  }

  /** Tells a line of output. */
  log(line: string): void {
    this.#emit('log', line);
  }

  #emit<E extends keyof ServerEvents>(event: E, value: ServerEvents[E]): void {
    for (const listener of this.#listeners[event]) {
      try {
        listener(value);
      } catch (error) {
        // An error of a listener surfaces as an uncaught one: the server is supervised on.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
