import { UnsupportedOperationError } from 'jarvis-opencode';
import { beforeAll, describe, expect, it } from 'vitest';
import { CALLS, type Call } from '../../scripts/api-coverage/calls.js';
import { matchOperation, operationsOf, readDoc, type OpenApi } from '../../scripts/api-coverage/doc.js';
import { EXCLUSIONS, excludes } from '../../scripts/api-coverage/exclusions.js';
import { measure, type Measurement } from '../../scripts/api-coverage/measure.js';
import { problemsOf, problemsOfText, samplesOf, type JsonSchema } from '../../scripts/api-coverage/schema.js';
import { OpenCode2 } from '../../src/client/opencode2/dialect.js';
import { MISSING_ON_OPENCODE_2 } from '../support/opencode2-missing.js';
import { realJarvis } from '../support/real-jarvis.js';

/** What the server takes and no method offers. */
const DELIBERATELY_UNUSED = [
  // `scope: project` would list other directories.
  { operation: 'GET /session', fields: ['?scope'] },
  // Workspaces are experimental.
  { operation: 'POST /session', fields: ['workspaceID'] },
  // `addContext` sends `noReply`, and only what starts a turn needs an id of its own and has an answer of a format.
  { operation: 'POST /session/{sessionID}/message', fields: ['messageID', 'format'] },
  { operation: 'POST /session/{sessionID}/prompt_async', fields: ['noReply'] },
];

describe('the methods and the document of the real server', () => {
  let now: Measurement;
  let newer: Measurement;

  beforeAll(async () => {
    await using real = await realJarvis();
    const doc = await readDoc(real.jarvis.server);
    now = await measure(doc, CALLS, EXCLUSIONS);
    newer = await measure(doc, CALLS, EXCLUSIONS, { newer: true });
  });

  it('covers every operation that is not excluded with a reason', () => {
    const { total, covered, excluded, missing } = now.coverage;
    expect(missing).toEqual([]);
    expect(covered.length + excluded.length).toBe(total);
    expect(total).toBeGreaterThan(180);
  });

  it('sends only methods, paths, queries and bodies that the document knows', () => {
    expect(now.unknown).toEqual([]);
  });

  it('accepts every answer that the document allows', () => {
    expect(now.refused).toEqual([]);
  });

  it('accepts the answers of a server with more fields and enum members', () => {
    expect(newer.refused).toEqual([]);
    expect(newer.failed).toEqual([]);
  });

  it('calls every public method at least once, and no call fails', () => {
    expect(now.failed).toEqual([]);
    expect(now.uncalled).toEqual([]);
  });

  it('has no operation of OpenCode 2 for exactly the methods that the types of its client lack', () => {
    const openCode2 = new OpenCode2();
    // The events of OpenCode 2 come from elsewhere.
    const lacks = (operation: string): boolean =>
      operation !== 'GET /global/event' && !isCarriedOut(openCode2, operation);
    const missing = [...now.operationsByMethod].flatMap(([method, operations]) =>
      operations.some(lacks) ? [method] : [],
    );
    expect(missing.sort()).toEqual(MISSING_ON_OPENCODE_2);
  });

  it('deviates from the document only where a list says so', () => {
    expect(now.idleExclusions).toEqual([]);
    expect(now.unused).toEqual(DELIBERATELY_UNUSED);
  });
});

/** Whether a dialect has an operation, by its name in the document. */
function isCarriedOut(dialect: OpenCode2, name: string): boolean {
  const [method = '', path = ''] = name.split(' ');
  try {
    dialect.operation({ method: method as 'GET', path: path.replaceAll(/[{}]/g, '') });
    return true;
  } catch (error) {
    if (error instanceof UnsupportedOperationError) return false;
    throw error;
  }
}

describe('the measurement', () => {
  const PATH_CALL: Call = { method: 'repo.path', call: ({ repo }) => repo.path() };
  const PATH_INFO: JsonSchema = {
    type: 'object',
    properties: {
      directory: { type: 'string' },
      worktree: { type: 'string' },
      home: { anyOf: [{ type: 'string' }] },
    },
    required: ['directory', 'worktree'],
  };
  const json = (schema: JsonSchema) => ({ content: { 'application/json': { schema } } });

  const SCHEMAS = {
    session: {
      type: 'object',
      properties: {
        id: { type: 'string', pattern: '^ses' },
        directory: { type: 'string' },
        title: { type: 'string' },
        time: {
          type: 'object',
          properties: { created: { type: 'number' }, updated: { type: 'number' } },
          required: ['created', 'updated'],
        },
      },
      required: ['id', 'directory', 'title', 'time'],
    },
  } satisfies Record<string, JsonSchema>;

  /** A document of the two operations that every world needs, and of `more`. */
  function docWith(more: OpenApi['paths']): OpenApi {
    return {
      components: { schemas: { Session: SCHEMAS.session } },
      paths: {
        '/path': { get: { responses: { 200: json(PATH_INFO) } } },
        '/session/{sessionID}': {
          get: { responses: { 200: json({ $ref: '#/components/schemas/Session' }) } },
        },
        ...more,
      },
    };
  }

  it('tells covered, excluded and missing operations apart', async () => {
    const doc = docWith({ '/api/x': { get: { responses: {} } }, '/new': { post: { responses: {} } } });
    const { coverage, idleExclusions } = await measure(
      doc,
      [PATH_CALL],
      [
        { operations: '/api/*', reason: 'preview' },
        { operations: '/gone', reason: 'nothing' },
        { operations: 'GET /path', reason: 'covered' },
      ],
    );
    expect(coverage).toEqual({
      total: 4,
      covered: [{ operation: 'GET /path', by: ['repo.path'] }],
      excluded: [{ operation: 'GET /api/x', reason: 'preview' }],
      missing: ['GET /session/{sessionID}', 'POST /new'],
    });
    expect(idleExclusions).toEqual(['/gone', 'GET /path']);
  });

  it('leaves out of the count what a call sends beside its purpose', async () => {
    const call = { ...PATH_CALL, beside: ['GET /path'] };
    const { coverage } = await measure(docWith({}), [call], []);
    expect(coverage.missing).toContain('GET /path');
  });

  it('finds paths, query parameters and body fields that the document does not know', async () => {
    const body: JsonSchema = {
      type: 'object',
      properties: { title: { type: 'number' }, other: {} },
      required: ['other'],
      additionalProperties: false,
    };
    const doc = docWith({
      '/session': {
        post: {
          requestBody: json(body),
          responses: { 200: json({ $ref: '#/components/schemas/Session' }) },
        },
      },
      '/find/file': {
        get: {
          parameters: [
            { name: 'limit', in: 'query', schema: { type: 'string', enum: ['all'] } },
            { name: 'must', in: 'query', required: true },
          ],
          responses: { 200: json({ type: 'array', items: { type: 'string' } }) },
        },
      },
    });
    const { unknown } = await measure(
      doc,
      [
        {
          method: 'create',
          call: ({ repo }) => repo.sessions.create({ title: 't', metadata: {} }),
        },
        { method: 'find', call: ({ repo }) => repo.find.files({ query: 'q', limit: 1 }) },
        { method: 'list', call: ({ repo }) => repo.permissions.list().catch(() => undefined) },
      ],
      [],
    );
    expect(unknown).toEqual([
      'create: POST /session: other: required',
      'create: POST /session: title: expected number, got string',
      'create: POST /session: metadata: unknown field',
      'find: GET /find/file: query query: unknown',
      'find: GET /find/file: query limit: body: expected one of ["all"], got "1"',
      'find: GET /find/file: query must: required',
      'list: GET /permission is not in the document',
    ]);
  });

  it('finds answers that conform and are refused', async () => {
    const call: Call = { method: 'create', call: ({ repo }) => repo.sessions.create() };
    const refusedWith = async (answer: JsonSchema): Promise<readonly string[]> => {
      const post = { responses: { 200: json(answer) }, requestBody: json({}) };
      return (await measure(docWith({ '/session': { post } }), [call], [])).refused;
    };
    const { session } = SCHEMAS;
    expect(await refusedWith(session)).toEqual([]);
    expect(await refusedWith({ ...session, required: ['directory', 'title', 'time'] })).toEqual([
      expect.stringMatching(/^create: POST \/session .*\(id: /),
    ]);
    const properties = {
      ...session.properties,
      parentID: { anyOf: [{ type: 'string' }, { type: 'number' }] },
    };
    expect(await refusedWith({ ...session, properties })).toEqual([
      expect.stringMatching(/^create: POST \/session .*\(parentID: /),
    ]);
  });

  it('finds methods without a call, and calls that fail', async () => {
    const broken: Call = { method: 'repo.warm', call: () => Promise.reject(new Error('no')) };
    const { uncalled, failed } = await measure(docWith({}), [PATH_CALL, broken], []);
    expect(failed).toEqual(['repo.warm: Error: no']);
    expect(uncalled).toEqual(
      expect.arrayContaining(['repo.dispose', 'session.prompt', 'repo.sessions.list']),
    );
    expect(uncalled).not.toContain('repo.path');
    expect(uncalled).not.toContain('repo.warm');
  });

  it('finds operations that no method offers', async () => {
    const parameters = [
      { name: 'directory', in: 'query' },
      { name: 'extra', in: 'query' },
    ];
    const doc = docWith({ '/path': { get: { parameters, responses: { 200: json(PATH_INFO) } } } });
    expect((await measure(doc, [PATH_CALL], [])).unused).toEqual([
      { operation: 'GET /path', fields: ['?extra'] },
    ]);
  });
});

describe('the reading of the document', () => {
  it('prefers a literal segment to a parameter', () => {
    const operations = operationsOf({
      paths: { '/a/{id}': { get: { responses: {} } }, '/a/b': { get: { responses: {} } } },
    });
    expect(matchOperation(operations, 'GET', '/a/b')?.path).toBe('/a/b');
    expect(matchOperation(operations, 'GET', '/a/c')?.path).toBe('/a/{id}');
    expect(matchOperation(operations, 'GET', '/a/')).toBeUndefined();
    expect(matchOperation(operations, 'GET', '/a/b/c')).toBeUndefined();
    expect(matchOperation(operations, 'POST', '/a/b')).toBeUndefined();
  });

  it('takes the alternative that fits best, and resolves references', () => {
    const definitions: Record<string, JsonSchema> = {
      A: { type: 'object', properties: { type: { enum: ['a'] } }, additionalProperties: false },
      B: {
        type: 'object',
        properties: { type: { const: 'b' }, list: { type: 'array', items: { type: 'integer' } } },
        required: ['type'],
        additionalProperties: false,
      },
    };
    const either = { anyOf: [{ $ref: '#/components/schemas/A' }, { $ref: '#/components/schemas/B' }] };
    expect(problemsOf(either, { type: 'a' }, definitions)).toEqual([]);
    expect(problemsOf(either, { type: 'b', list: [1, 1.5] }, definitions)).toEqual([
      'list[1]: expected integer, got number',
    ]);
    expect(problemsOf({ type: ['string', 'null'] }, null, definitions)).toEqual([]);
    expect(problemsOf({ pattern: '^ses' }, 'msg_1', definitions)).toHaveLength(1);
    expect(problemsOf({ additionalProperties: { type: 'boolean' } }, { x: 1 }, definitions)).toHaveLength(1);
    expect(() => problemsOf({ $ref: '#/components/schemas/C' }, 1, definitions)).toThrow('no #/components');
    expect(problemsOfText({ type: 'number' }, '3', definitions)).toEqual([]);
    expect(problemsOfText({ type: 'boolean' }, 'true', definitions)).toEqual([]);
    expect(problemsOfText({ type: 'number' }, 'x', definitions)).toHaveLength(1);
  });

  it('makes samples that conform, the smallest first and one for each alternative', () => {
    const schema: JsonSchema = {
      type: 'object',
      properties: {
        id: { type: 'string', pattern: '^ses' },
        kind: { anyOf: [{ enum: ['x', 'y'] }, { type: 'null' }] },
        tags: { type: 'array', items: { type: 'integer', minimum: 2 } },
        by: { type: 'object', additionalProperties: { type: 'boolean' } },
      },
      required: ['id', 'kind'],
      additionalProperties: false,
    };
    const samples = samplesOf(schema, { definitions: {} });
    expect(samples[0]).toEqual({ id: 'ses_1', kind: 'x' });
    expect(samples).toContainEqual({ id: 'ses_1', kind: null });
    expect(samples).toContainEqual({ id: 'ses_1', kind: 'x', tags: [2] });
    expect(samples).toContainEqual({ id: 'ses_1', kind: 'x', by: { key0: true, key1: false } });
    for (const sample of samples) expect(problemsOf(schema, sample, {})).toEqual([]);
    const newer = samplesOf(schema, { definitions: {}, newer: true });
    expect(newer).toContainEqual(expect.objectContaining({ kind: 'fromTheFuture' }));
    for (const sample of newer) expect(problemsOf(schema, sample, {})).not.toEqual([]);
  });

  it('excludes operations by path or by name', () => {
    const one = { operations: 'POST /a.b', reason: '' };
    expect(excludes(one, 'POST /a.b')).toBe(true);
    expect(excludes(one, 'POST /aXb')).toBe(false);
    expect(excludes(one, 'GET /a.b')).toBe(false);
    expect(excludes({ operations: '/a/*', reason: '' }, 'GET /a/b/c')).toBe(true);
    expect(excludes({ operations: '/a/*', reason: '' }, 'GET /b/a/c')).toBe(false);
  });
});
