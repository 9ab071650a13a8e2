import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { parseInput, type RequestOptions } from '../http/request-options.js';
import { booleanSchema } from '../schema/server.js';
import { RepoResource } from './repo-resource.js';

const logEntrySchema = lazy(() =>
  z.strictObject({
    service: z.string().min(1),
    level: z.enum(['debug', 'info', 'warn', 'error']),
    message: z.string(),
    extra: z.record(z.string(), z.unknown()).optional(),
  }),
);
/**
 * A line of the server's log.
 *
 * - `service`: the name of the writer. OpenCode 1.18.33 leaves it out of the log.
 * - `extra`: values that follow the message as `key=value`.
 *
 * @useDeclaredType
 */
export type LogEntry = z.infer<ReturnType<typeof logEntrySchema>>;

/** The log file of the server, which all repositories share. */
export class LogResource extends RepoResource {
  /**
   * Writes a line to the log. The server drops a line below its log level. Loads no instance.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async write(input: LogEntry, options?: RequestOptions): Promise<void> {
    const json = parseInput(logEntrySchema, 'log entry', input);
    await this.transport.sendUngated({ method: 'POST', path: '/log', json, schema: booleanSchema }, options);
  }
}
