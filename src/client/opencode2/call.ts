import type { Exchange, Operation, OperationAnswer } from '../dialect/dialect.js';
import type { HttpRequest } from '../http/request.js';
import { UnsupportedOperationError } from '../../errors.js';
import type { DialectMemory } from './memory.js';

/** One operation to carry out. */
export interface Call {
  readonly exchange: Exchange;
  readonly memory: DialectMemory;
  /** The decoded parameters of its path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: NonNullable<HttpRequest<unknown>['query']>;
  readonly json: unknown;
  /** The repository it is of; empty when it is of none. */
  readonly directory: string;
  /** Reports that the server has no instance of a directory, where no event says so. */
  readonly onUnloaded: (directory: string) => void;
}

/** Carries out an operation by requests of OpenCode 2. */
export type Handler = (call: Call) => Promise<OperationAnswer>;

/** The query that pins a request to a repository. No other form does: OpenCode 2.0.14 ignores a bare `directory` here. */
export function pin(directory: string): { readonly 'location[directory]': string } {
  return { 'location[directory]': directory };
}

/** The parameter of a path; the table of operations makes sure that it is there. */
export function param({ params }: Pick<Call, 'params'>, name: string): string {
  return params[name] ?? '';
}

/** @throws {UnsupportedOperationError} for an option that OpenCode 2 has not. */
export function refuse(operation: string): never {
  throw new UnsupportedOperationError(operation, 2);
}

/** Finds an operation by its name. */
export interface OperationTable {
  /** @returns the handler and the decoded parameters; `undefined` when there is none. */
  find(
    operation: Pick<Operation, 'method' | 'path'>,
  ): { readonly handler: Handler; readonly params: Readonly<Record<string, string>> } | undefined;
}

/** Makes a table of operations from their names, e.g. `GET /session/:sessionID`. */
export function operationTable(handlers: Readonly<Record<string, Handler>>): OperationTable {
  const rows = Object.entries(handlers).map(([name, handler]) => {
    const [method, template = ''] = name.split(' ');
    return { method, segments: template.split('/'), handler };
  });
  return {
    find: ({ method, path }) => {
      const segments = path.split('/');
      for (const row of rows) {
        if (row.method !== method || row.segments.length !== segments.length) continue;
        const params = paramsOf(row.segments, segments);
        if (params !== undefined) return { handler: row.handler, params };
      }
      return undefined;
    },
  };
}

function paramsOf(
  template: readonly string[],
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const params: Record<string, string> = {};
  for (const [index, name] of template.entries()) {
    const segment = segments[index] ?? '';
    if (name.startsWith(':')) params[name.slice(1)] = decodeURIComponent(segment);
    else if (name !== segment) return undefined;
  }
  return params;
}
