/**
 * Where the library writes what it decides. Every method takes a sentence and plain data without secrets. The library ignores what a method
 * throws.
 */
export interface Logger {
  debug(message: string, data?: Readonly<Record<string, unknown>>): void;
  info(message: string, data?: Readonly<Record<string, unknown>>): void;
  warn(message: string, data?: Readonly<Record<string, unknown>>): void;
  error(message: string, data?: Readonly<Record<string, unknown>>): void;
}

function ignore(): void {
  // Silence is the default: a library does not write to its host's console.
}

/** The default logger, which writes nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** The logger of the user, who may have none: it never throws. */
export function loggerOfUser(logger: Logger | undefined): Logger {
  if (logger === undefined) return silentLogger;
  return loggerOf((level, message, data) => {
    try {
      logger[level](message, data);
    } catch {
      // A line that is lost must not fail the call that wrote it.
    }
  });
}

/** A logger that adds some data to all it writes. */
export function withData(logger: Logger, added: Readonly<Record<string, unknown>>): Logger {
  return loggerOf((level, message, data) => logger[level](message, { ...added, ...data }));
}

/** Makes a logger of one function for all levels. */
export function loggerOf(
  write: (level: keyof Logger, message: string, data?: Readonly<Record<string, unknown>>) => void,
): Logger {
  return {
    debug: (message, data) => write('debug', message, data),
    info: (message, data) => write('info', message, data),
    warn: (message, data) => write('warn', message, data),
    error: (message, data) => write('error', message, data),
  };
}
