import { OperationRefusedError } from '../../errors.js';
import type { OpenCodeMajor } from '../dialect/dialect.js';
import { OPENCODE_2_FETCH_OPERATIONS } from '../opencode2/fetch-operations.js';
import { FETCH_OPERATIONS, type FetchOperation } from './operations.js';

/** A request in its canonical form. The library matches and sends this form, however the caller spelled the request. */
export interface CanonicalRequest {
  readonly operation: FetchOperation;
  readonly method: string;
  /** The encoded path, built from the template and the parameters, never from the caller's text. */
  readonly path: string;
  /** The decoded parameters of the path, by their names in the template. */
  readonly params: Readonly<Record<string, string>>;
}

interface Known extends FetchOperation {
  readonly segments: readonly string[];
}

const KNOWN: Readonly<Record<OpenCodeMajor, readonly Known[]>> = {
  1: withSegments(FETCH_OPERATIONS),
  2: withSegments(OPENCODE_2_FETCH_OPERATIONS),
};

function withSegments(operations: readonly FetchOperation[]): Known[] {
  return operations.map((operation) => ({
    ...operation,
    segments: operation.template.slice(1).split('/'),
  }));
}

/** Parameters whose values people choose; a provider, for one, can be a URL. All others are ids. */
const FREE_NAMES: ReadonlySet<string> = new Set(['name', 'providerID']);

/** Characters that no id of the server has. Decoded once more, they would make another path. */
const NOT_IN_AN_ID = /[\s\p{Cc}/\\%?#;]/u;

const ELSEWHERE =
  "a method of the repository, or your own fetch to the server's address for what concerns no repository";

/**
 * Brings a request to its canonical form. OpenCode 1.18.33 takes many spellings of a path: any letter case, doubled and
 * trailing slashes, escaped letters. This function decodes a path once, as the server does: a path that is escaped
 * twice is another path.
 *
 * @param opencode - the major version of the server.
 * @throws {OperationRefusedError} when `repo.fetch` does not send this operation.
 */
export function canonicalRequest(
  method: string,
  pathname: string,
  opencode: OpenCodeMajor = 1,
): CanonicalRequest {
  const verb = method.toUpperCase();
  const given = { method: verb, path: pathname };
  const segments = segmentsOf(pathname);
  if (segments === undefined) {
    throw new OperationRefusedError({ ...given, why: 'its path cannot be decoded', instead: ELSEWHERE });
  }
  const alike = KNOWN[opencode].filter((operation) => paramsOf(operation, segments) !== undefined);
  const operation = alike.find((each) => each.method === '*' || each.method === verb);
  if (operation === undefined) {
    const methods = [...new Set(alike.map((each) => each.method))].join(', ');
    throw new OperationRefusedError({
      ...given,
      why: 'OpenCode has no such operation, as far as this library knows',
      instead: methods === '' ? ELSEWHERE : `one of the methods of this path: ${methods}`,
    });
  }
  const { template, treatment } = operation;
  if (treatment.kind === 'refused') throw new OperationRefusedError({ ...given, ...treatment });
  const params = paramsOf(operation, segments) ?? {};
  for (const [name, value] of Object.entries(params)) {
    if (!isParam(name, value)) {
      const why = `${JSON.stringify(value)} cannot be the ${name} of ${template}`;
      throw new OperationRefusedError({
        ...given,
        why,
        instead: 'the id as the server gave it, encoded once',
      });
    }
  }
  const path = operation.segments
    .map(
      (segment) =>
        `/${isParamSegment(segment) ? encodeURIComponent(params[nameOf(segment)] ?? '') : segment}`,
    )
    .join('');
  return { operation, method: verb, path, params };
}

/** The segments of a path, decoded once, without empty ones; `undefined` when the path cannot be decoded. */
function segmentsOf(pathname: string): string[] | undefined {
  try {
    return pathname
      .split('/')
      .filter((segment) => segment !== '')
      .map((segment) => decodeURIComponent(segment));
  } catch {
    return undefined;
  }
}

/** The parameters of the path; `undefined` when it does not match the template. */
function paramsOf(
  { segments: template }: Known,
  segments: readonly string[],
): Record<string, string> | undefined {
  const isOpen = template.at(-1) === '**';
  const fixed = isOpen ? template.slice(0, -1) : template;
  if (isOpen ? segments.length < fixed.length : segments.length !== fixed.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of fixed.entries()) {
    const segment = segments[index] ?? '';
    if (isParamSegment(part)) params[nameOf(part)] = segment;
    else if (part !== segment.toLowerCase()) return undefined;
  }
  return params;
}

function isParamSegment(segment: string): boolean {
  return segment.startsWith('{');
}

function nameOf(segment: string): string {
  return segment.slice(1, -1);
}

function isParam(name: string, value: string): boolean {
  if (value === '.' || value === '..' || !value.isWellFormed()) return false;
  return FREE_NAMES.has(name) || !NOT_IN_AN_ID.test(value);
}
