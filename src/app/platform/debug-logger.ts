import { debuglog } from 'node:util';
import { loggerOf, type Logger } from '../../core/logger.js';

const NAME = 'jarvis-opencode';

/** The logger of a client whose options name none: it writes to stderr where `NODE_DEBUG` names the library; `undefined` where it does not. */
export function debugLogger(): Logger | undefined {
  const log = debuglog(NAME);
  if (!log.enabled) return undefined;
  return loggerOf((level, message, data) =>
    data === undefined ? log('%s %s', level, message) : log('%s %s %o', level, message, data),
  );
}
