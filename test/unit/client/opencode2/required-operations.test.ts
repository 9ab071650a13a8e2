import { describe, expect, it } from 'vitest';
import { mockOpenCode } from 'jarvis-opencode/testing';
import { OPENCODE_2_ROUTES } from '../../../../src/testing/opencode2/routes/all.js';
import { documentOf } from '../../../../src/testing/opencode2/openapi.js';
import { missingOperations } from '../../../../src/client/opencode2/required-operations.js';

/** The description of the API of the mock. */
function described(): { paths: Record<string, Record<string, unknown>> } {
  return structuredClone(documentOf(OPENCODE_2_ROUTES)) as { paths: Record<string, Record<string, unknown>> };
}

describe('missingOperations()', () => {
  it('finds nothing missing in the mock of OpenCode 2', () => {
    using mock = mockOpenCode({ opencode: 2 });
    expect(mock.version).toBe('2.0.14');
    expect(missingOperations(described())).toEqual([]);
  });

  it('names an operation that is not described, and a method that its path has not', () => {
    const document = described();
    delete document.paths['/api/session/active'];
    delete document.paths['/api/debug/location']?.['delete'];
    expect(missingOperations(document)).toEqual(['DELETE /api/debug/location', 'GET /api/session/active']);
  });

  it('names a field that the body of an operation has not', () => {
    const document = described();
    document.paths['/api/session/{sessionID}/prompt'] = {
      post: {
        requestBody: { content: { 'application/json': { schema: { properties: { text: {}, files: {} } } } } },
      },
    };
    expect(missingOperations(document)).toEqual(['POST /api/session/{sessionID}/prompt with id']);
  });

  it('follows a reference to the schema of a body', () => {
    const schema = { $ref: '#/components/schemas/Answer' };
    const document = {
      ...described(),
      components: { schemas: { Answer: { properties: { answer: {} } } } },
    };
    document.paths['/api/session/{sessionID}/form/{formID}/reply'] = {
      post: { requestBody: { content: { 'application/json': { schema } } } },
    };
    expect(missingOperations(document)).toEqual([]);
  });
});
