import { ResponseShapeError } from 'jarvis-opencode';
import type { Call } from './calls.js';
import { operationsOf, type OpenApi, type Operation } from './doc.js';
import { excludes, type Exclusion } from './exclusions.js';
import { problemsOf, problemsOfText } from './schema.js';
import { World, type SentRequest } from './world.js';

/** What `npm run coverage:api -- --json` prints. */
export interface Coverage {
  readonly total: number;
  readonly covered: readonly { readonly operation: string; readonly by: readonly string[] }[];
  readonly excluded: readonly { readonly operation: string; readonly reason: string }[];
  readonly missing: readonly string[];
}

/** What the calls of all methods showed, beside {@link Coverage}. */
export interface Measurement {
  readonly coverage: Coverage;
  /** Requests, queries and bodies that the document does not know, as `method: what`. */
  readonly unknown: readonly string[];
  /** Answers that conform to the document and are refused, as `method: what`. */
  readonly refused: readonly string[];
  /** Calls that ended otherwise than they should, as `method: error`. */
  readonly failed: readonly string[];
  /** Fields and query parameters of covered operations that no method sends; deliberate ones are fine. */
  readonly unused: readonly { readonly operation: string; readonly fields: readonly string[] }[];
  /** The operations that each method is there for. */
  readonly operationsByMethod: ReadonlyMap<string, readonly string[]>;
  /** Public methods without a call. */
  readonly uncalled: readonly string[];
  /** Exclusions that are about no operation, or about one that is covered. */
  readonly idleExclusions: readonly string[];
}

/** A call must end by itself; a hanging one is a failure and must not stop the others. */
const CALL_LIMIT_MS = 5_000;

interface Trace {
  readonly call: Call;
  readonly sent: readonly SentRequest[];
  readonly refused: readonly string[];
  readonly failed: string | undefined;
}

/** Makes all calls against the document and tells what they say about each other. */
export async function measure(
  doc: OpenApi,
  calls: readonly Call[],
  exclusions: readonly Exclusion[],
  options: { readonly newer?: boolean } = {},
): Promise<Measurement> {
  const traces: Trace[] = [];
  for (const call of calls) traces.push(await trace(doc, call, options));
  const operations = operationsOf(doc);
  const byMethod = operationsByMethod(traces);
  const coverage = coverageOf(operations, byMethod, exclusions);
  const definitions = doc.components?.schemas ?? {};
  return {
    coverage,
    unknown: unique(
      traces.flatMap(({ call, sent }) =>
        sent.flatMap((request) =>
          checkRequest(request, definitions).map((what) => `${call.method}: ${what}`),
        ),
      ),
    ),
    refused: unique(traces.flatMap(({ call, refused }) => refused.map((what) => `${call.method}: ${what}`))),
    failed: traces.flatMap(({ call, failed }) => (failed === undefined ? [] : [`${call.method}: ${failed}`])),
    unused: unusedFields(operations, traces),
    operationsByMethod: byMethod,
    uncalled: await uncalledMethods(doc, calls),
    idleExclusions: exclusions
      .filter((exclusion) => {
        const names = operations.map(({ name }) => name).filter((name) => excludes(exclusion, name));
        return names.length === 0 || coverage.covered.some(({ operation }) => names.includes(operation));
      })
      .map((exclusion) => exclusion.operations),
  };
}

/** Makes one call, once for each sample of what it is answered. */
async function trace(doc: OpenApi, call: Call, options: { readonly newer?: boolean }): Promise<Trace> {
  await using world = await World.make(doc, options);
  const sent: SentRequest[] = [];
  const refused: string[] = [];
  let failed: string | undefined;
  do {
    world.sent.length = 0;
    try {
      await within(CALL_LIMIT_MS, call.call(world));
    } catch (error) {
      if (error instanceof ResponseShapeError) refused.push(error.message);
      else failed = String(error);
    }
    sent.push(...world.sent);
    world.sample++;
  } while (failed === undefined && call.once !== true && world.sample < world.sampleCount);
  return { call, sent, refused, failed };
}

async function within(limitMs: number, outcome: unknown): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${limitMs} ms`)), limitMs);
  });
  try {
    await Promise.race([outcome, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the document does not know about a request, or knows otherwise. */
export function checkRequest(request: SentRequest, definitions: Parameters<typeof problemsOf>[2]): string[] {
  const { operation } = request;
  if (operation === undefined) return [`${request.method} ${request.path} is not in the document`];
  const problems: string[] = [];
  const parameters = operation.parameters.filter((parameter) => parameter.in === 'query');
  for (const [name, value] of request.query) {
    const parameter = parameters.find((one) => one.name === name);
    if (parameter === undefined) problems.push(`query ${name}: unknown`);
    else {
      problems.push(
        ...problemsOfText(parameter.schema ?? {}, value, definitions).map((what) => `query ${name}: ${what}`),
      );
    }
  }
  for (const { name, required } of parameters) {
    if (required === true && !request.query.has(name)) problems.push(`query ${name}: required`);
  }
  if (operation.body === undefined) {
    if (request.body !== undefined) problems.push('it takes no body');
  } else if (request.body === undefined) problems.push('it needs a body');
  else problems.push(...problemsOf(operation.body, request.body, definitions));
  return problems.map((problem) => `${operation.name}: ${problem}`);
}

function coverageOf(
  operations: readonly Operation[],
  byMethod: Measurement['operationsByMethod'],
  exclusions: readonly Exclusion[],
): Coverage {
  const covered: Coverage['covered'][number][] = [];
  const excluded: Coverage['excluded'][number][] = [];
  const missing: string[] = [];
  for (const { name } of operations) {
    const by = [...byMethod].flatMap(([method, names]) => (names.includes(name) ? [method] : []));
    const exclusion = exclusions.find((one) => excludes(one, name));
    if (by.length > 0) covered.push({ operation: name, by });
    else if (exclusion !== undefined) excluded.push({ operation: name, reason: exclusion.reason });
    else missing.push(name);
  }
  return { total: operations.length, covered, excluded, missing };
}

/** The operations of each method, without those that are beside the purpose of a call. */
function operationsByMethod(traces: readonly Trace[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { call, sent } of traces) {
    const names = sent.flatMap(({ operation }) => operation?.name ?? []);
    const purpose = names.filter((name) => call.beside?.includes(name) !== true);
    found.set(call.method, unique([...(found.get(call.method) ?? []), ...purpose]));
  }
  return found;
}

function unusedFields(operations: readonly Operation[], traces: readonly Trace[]): Measurement['unused'] {
  const unused: Measurement['unused'][number][] = [];
  for (const operation of operations) {
    const sent = traces
      .flatMap((one) => one.sent)
      .filter((request) => request.operation?.name === operation.name);
    if (sent.length === 0) continue;
    const queries = operation.parameters
      // The repository is named by the header.
      .filter(({ in: where, name }) => where === 'query' && name !== 'directory' && name !== 'workspace')
      .filter(({ name }) => !sent.some((request) => request.query.has(name)))
      .map(({ name }) => `?${name}`);
    const fields = Object.keys(operation.body?.properties ?? {}).filter(
      (name) =>
        !sent.some(({ body }) => typeof body === 'object' && body !== null && Object.hasOwn(body, name)),
    );
    if (queries.length + fields.length > 0)
      unused.push({ operation: operation.name, fields: [...queries, ...fields] });
  }
  return unused;
}

/** Public by the compiler, but marked `@internal`. */
const INTERNAL = ['session.verify'];

/** Finds the methods of the client, its resources and its session that no call is about. */
async function uncalledMethods(doc: OpenApi, calls: readonly Call[]): Promise<string[]> {
  await using world = await World.make(doc);
  const methods = [
    ...methodsOf('jarvis.global', world.jarvis.global),
    ...methodsOf('repo', world.repo),
    ...methodsOf('session', world.session),
  ];
  const called = new Set([...calls.map((call) => call.method), ...INTERNAL]);
  return methods.filter((method) => !called.has(method));
}

/** The methods of an object and of the nouns it has. */
function methodsOf(name: string, object: object): string[] {
  const prototype = Object.getPrototypeOf(object) as object;
  const nouns = Object.entries(object).filter(
    (entry): entry is [string, object] => typeof entry[1] === 'object' && entry[1] !== null,
  );
  return [
    ...Object.entries(Object.getOwnPropertyDescriptors(prototype))
      .filter(([key, { value }]) => key !== 'constructor' && typeof value === 'function')
      .map(([key]) => `${name}.${key}`),
    ...nouns.flatMap(([key, noun]) => methodsOf(`${name}.${key}`, noun)),
  ];
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
