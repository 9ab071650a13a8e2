import { OperationRefusedError, type RequestTarget } from '../../errors.js';
import type { BodyRule } from './operations.js';

/** A checked body, in the form in which it is sent. */
export interface CheckedBody {
  readonly text: string;
  /** The sessions that it names. The sender must first make sure that they belong to the repository. */
  readonly sessionIDs: readonly string[];
  readonly json: unknown;
}

/**
 * Reads a JSON body and refuses fields that would lead out of the repository. It then writes the body anew, so that the
 * server reads exactly what was checked here.
 *
 * @throws {TypeError} when it is no JSON.
 * @throws {OperationRefusedError} for a field that leads out of the repository.
 */
export function checkBody(
  target: RequestTarget,
  rule: BodyRule,
  directory: string,
  text: string,
): CheckedBody {
  const body = parseBody(target, text);
  const { sessions = [], directories = [], refused = [] } = rule;
  for (const name of refused) {
    if (fieldOf(body, name) === undefined) continue;
    const why = `${name} in its body leads to another directory`;
    throw new OperationRefusedError({ ...target, why, instead: `it without ${name}` });
  }
  for (const name of directories) {
    const value = fieldOf(body, name);
    if (value === undefined || value === '' || (typeof value === 'string' && isInside(value, directory)))
      continue;
    const why = `${name} in its body is no absolute path in ${JSON.stringify(directory)}`;
    throw new OperationRefusedError({ ...target, why, instead: 'forRepo() with that directory' });
  }
  const sessionIDs = sessions
    .map((name) => fieldOf(body, name))
    // The server itself refuses an id that is not a string.
    .filter((id) => typeof id === 'string');
  return { text: JSON.stringify(body), sessionIDs, json: body };
}

/** @throws {TypeError} when it is no JSON. */
export function parseBody({ method, path }: RequestTarget, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TypeError(`Expected the body of ${method} ${path} to be JSON.`, { cause: error });
  }
}

/** Reads a field of a JSON value, by name or as `outer.inner`. */
export function fieldOf(body: unknown, name: string): unknown {
  let value = body;
  for (const key of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

/** Whether an absolute path without `.` and `..` is the directory or in it, as text. */
function isInside(path: string, directory: string): boolean {
  const unify = (text: string): string => (/^[A-Za-z]:[\\/]/.test(text) ? text.replaceAll('\\', '/') : text);
  const [inner, outer] = [unify(path), unify(directory).replace(/\/+$/, '')];
  if (inner.includes('\0') || /(?:^|\/)\.\.?(?:\/|$)/.test(inner)) return false;
  return inner === outer || inner.startsWith(`${outer}/`);
}
