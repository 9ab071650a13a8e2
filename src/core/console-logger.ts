import { assertOptions, oneOf, type OptionChecks } from './checks.js';
import { loggerOf, type Logger } from './logger.js';

/** The levels of a {@link Logger}, the chattiest first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Options of {@link consoleLogger}. */
export interface ConsoleLoggerOptions {
  /** The least level that is written. @default 'info' */
  readonly level?: LogLevel | undefined;
}

const consoleLoggerChecks: OptionChecks<ConsoleLoggerOptions> = { level: oneOf(...LEVELS) };

/**
 * A logger that writes to the console, each line with `jarvis-opencode:` in front. `console` itself is a logger too, which writes every
 * level, the output of the server (`debug`) included.
 *
 * @throws {TypeError} for an invalid option.
 */
export function consoleLogger(options: ConsoleLoggerOptions = {}): Logger {
  assertOptions('consoleLogger()', consoleLoggerChecks, options);
  const least = LEVELS.indexOf(options.level ?? 'info');
  return loggerOf((level, message, data) => {
    if (LEVELS.indexOf(level) < least) return;
    globalThis.console[level](`jarvis-opencode: ${message}`, ...(data === undefined ? [] : [data]));
  });
}
