import { UnsupportedOperationError } from '../../errors.js';
import { decodeEnvelope, EVENTS_PATH, peekEnvelope } from '../events/sse.js';
import { LOCATED_SESSIONS_PATH, oneDialect, type Dialect } from './dialect.js';

/** OpenCode 1.18 and later 1.x: the language of the library itself. */
export const openCode1: Dialect = {
  opencode: 1,
  eventsPath: EVENTS_PATH,
  operation: ({ method, path }) => {
    // OpenCode 1.18.33 answers other such paths from a store of their own.
    if (path.startsWith('/api/') && path !== LOCATED_SESSIONS_PATH)
      throw new UnsupportedOperationError(`${method} ${path}`, 1);
    return undefined;
  },
  readFrames: () => ({ peek: peekEnvelope, decode: (data, head) => [decodeEnvelope(data, head)] }),
};

/** OpenCode 1.18, whatever the server is. */
export const alwaysOpenCode1 = oneDialect(openCode1);
