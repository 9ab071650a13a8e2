import { UnsupportedOperationError } from '../../errors.js';
import type { CarryOut, Dialect, FrameReader, Operation } from '../dialect/dialect.js';
import { askOperations } from './ask-operations.js';
import { operationTable } from './call.js';
import { EventTranslator } from './events.js';
import { DialectMemory } from './memory.js';
import { messageOperations } from './message-operations.js';
import { promptOperations } from './prompt-operations.js';
import { repoOperations } from './repo-operations.js';
import { serverOperations } from './server-operations.js';
import { sessionOperations } from './session-operations.js';

/** The operations of the library that OpenCode 2 has, by the name that OpenCode 1.18 gives them. */
export const OPERATIONS = {
  ...serverOperations,
  ...sessionOperations,
  ...messageOperations,
  ...promptOperations,
  ...askOperations,
  ...repoOperations,
};

const table = operationTable(OPERATIONS);

/** OpenCode 2, as measured on 2.0.14. */
export class OpenCode2 implements Dialect {
  readonly opencode = 2;
  readonly eventsPath = '/api/event';
  readonly #memory = new DialectMemory();
  readonly #onUnloaded: (directory: string) => void;

  /** @param onUnloaded - called for an instance that turns out not to be loaded, where no event says so. */
  constructor(onUnloaded: (directory: string) => void = () => undefined) {
    this.#onUnloaded = onUnloaded;
  }

  operation(operation: Operation): CarryOut {
    const found = table.find(operation);
    if (found === undefined) throw new UnsupportedOperationError(nameOf(operation), 2);
    const { handler, params } = found;
    const { query = {}, json, directory = '' } = operation;
    const call = { memory: this.#memory, params, query, json, directory, onUnloaded: this.#onUnloaded };
    return (exchange) => handler({ ...call, exchange });
  }

  readFrames(): FrameReader {
    return new EventTranslator(this.#memory);
  }
}

/** The name of an operation without the ids in its path. */
function nameOf({ method, path }: Operation): string {
  return `${method} ${path.replaceAll(/\/(ses|msg|prt|per|que|pty)(_|%5F)[^/]*/g, '/{$1}')}`;
}
