import { OperationRefusedError } from '../../errors.js';
import { FETCH_OPERATIONS, type FetchOperation } from './operations.js';

/** A request in its one form: whatever the caller's spelling, this is what is matched and sent. */
export interface CanonicalRequest {
  readonly operation: FetchOperation;
  readonly method: string;
  /** Made of the template and the parameters, encoded; never the caller's text. */
  readonly path: string;
  /** What the path has in the places of the template, decoded, by name. */
  readonly params: Readonly<Record<string, string>>;
}

interface Known extends FetchOperation {
  readonly segments: readonly string[];
}

const KNOWN: readonly Known[] = FETCH_OPERATIONS.map((operation) => ({
  ...operation,
  segments: operation.template.slice(1).split('/'),
}));

/** Names that people choose: a provider can be a URL. All other parameters are ids. */
const FREE_NAMES: ReadonlySet<string> = new Set(['name', 'providerID']);

/** No id of the server has these, or control characters; decoded once more they would make another path. */
const NOT_IN_AN_ID = /[\s\p{Cc}/\\%?#;]/u;

const ELSEWHERE =
  "a method of the repository, or your own fetch to the server's address for what concerns no repository";

/**
 * Brings a request to its one form. OpenCode 1.18.33 takes a path in many: any letter case, doubled and trailing slashes,
 * escaped letters. They are all read here as the server reads them, once: a path that is escaped twice is another path.
 *
 * @throws {OperationRefusedError} when that is no operation that `repo.fetch` sends.
 */
export function canonicalRequest(method: string, pathname: string): CanonicalRequest {
  const verb = method.toUpperCase();
  const given = { method: verb, path: pathname };
  const segments = segmentsOf(pathname);
  if (segments === undefined) {
    throw new OperationRefusedError({ ...given, why: 'its path cannot be decoded', instead: ELSEWHERE });
  }
  const alike = KNOWN.filter((operation) => paramsOf(operation, segments) !== undefined);
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

/** The segments of a path, decoded once, without the empty ones; `undefined` when it cannot be decoded. */
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

/** What the path has in the places of the template; `undefined` when it is another path. */
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
