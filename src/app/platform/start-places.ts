import { loggerOfUser, type Logger } from '../../core/logger.js';
import { comparableOptions } from '../comparable-options.js';
import { processRegistry } from './process-registry.js';

/** A place in the code. */
interface Place {
  /** Path or URL, without a query. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** How many servers run, by the file that started them and their options. */
const running = processRegistry<number>('starts');
/** Where the servers that run were started by this copy of the library. */
const open = new Set<{ readonly where: string }>();

/**
 * Counts a server from its start to its end, and warns when the same file started one with the same options that still
 * runs. A line may have moved in between, because a development server evaluates a module after each edit.
 *
 * A process that ends by itself, without an error, while a server runs gets a warning of Node (`JARVIS_NOT_CLOSED`): its end kills the
 * server, and nobody waited for the work in it.
 *
 * @param starter - whose `start` was called and is at work.
 * @returns ends the count; to be called once.
 */
export function recordStart(
  starter: { readonly start: (...args: never[]) => unknown },
  options: {
    readonly logger?: Logger | undefined;
    readonly unref?: boolean | undefined;
    readonly servers?: readonly string[] | undefined;
  },
): () => void {
  const place = callerOf(starter.start);
  const where = place === undefined ? 'an unknown place' : textOf(place);
  const closed = options.unref === true ? (): void => undefined : noteOpen(where);
  if (place === undefined) return closed;
  const key = JSON.stringify([place.file, ...comparableOptions(options)]);
  const before = running.get(key) ?? 0;
  running.set(key, before + 1);
  if (before > 0) {
    const logger = loggerOfUser(options.logger);
    logger.warn(
      `${where} starts another server while ${before} from the same place still ${before === 1 ? 'runs' : 'run'}. If a ` +
        'development server evaluates this module again, use JarvisOpenCode.shared(key, options), which starts one.',
      { place: where, running: before },
    );
  }
  return () => {
    closed();
    const now = running.get(key) ?? 0;
    if (now > 1) running.set(key, now - 1);
    else running.delete(key);
  };
}

function textOf({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

/** Warns at the end of the process unless the returned function was called before. */
function noteOpen(where: string): () => void {
  const entry = { where };
  if (open.size === 0) process.on('exit', warnAtExit);
  open.add(entry);
  return () => {
    if (open.delete(entry) && open.size === 0) process.off('exit', warnAtExit);
  };
}

function warnAtExit(code: number): void {
  if (code !== 0) return;
  const places = [...open].map(({ where }) => where).join(', ');
  const warning = Object.assign(
    new Error(
      `The process ended before close() of the OpenCode server that was started at ${places}. It was killed with all it ran. ` +
        'Call `await jarvis.close()` when the work is done, or declare the client with `await using`.',
    ),
    { name: 'Warning', code: 'JARVIS_NOT_CLOSED' },
  );
  // `process.emitWarning` would wait for a tick that does not come any more.
  process.emit('warning', warning);
}

/** Where a function was called that is at work; `undefined` where the runtime does not say. */
function callerOf(callee: (...args: never[]) => unknown): Place | undefined {
  const trace: { stack?: unknown } = {};
  Error.captureStackTrace(trace, callee);
  // The host may have replaced the format of stacks.
  if (typeof trace.stack !== 'string') return undefined;
  return trace.stack
    .split('\n')
    .map(placeOf)
    .find((place) => place !== undefined);
}

/** `    at run (file:///srv/app.js?t=5:12:34)` or without a name and brackets → file, line and column. */
function placeOf(line: string): Place | undefined {
  const frame = /^\s*at (?:async )?(.+)$/.exec(line)?.[1];
  if (frame === undefined) return undefined;
  const where = frame.endsWith(')') ? frame.slice(frame.indexOf(' (') + 2, -1) : frame;
  const [, file, row, column] = /^(.+?)(?:\?[^:]*)?:(\d+):(\d+)$/.exec(where) ?? [];
  return file === undefined ? undefined : { file, line: Number(row), column: Number(column) };
}
