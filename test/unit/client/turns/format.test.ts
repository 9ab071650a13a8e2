import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import * as mini from 'zod/mini';
import type { AnswerFormat } from 'jarvis-opencode';
import { parseFormat } from '../../../../src/client/turns/format.js';

const parse = (format: unknown): ReturnType<typeof parseFormat> => parseFormat(format as AnswerFormat);

const circle: Record<string, unknown> = { type: 'object' };
circle['properties'] = { self: circle };
let deep: object = { type: 'string' };
for (let depth = 0; depth < 100_000; depth++) deep = { type: 'object', properties: { deep } };

describe('the format of a prompt', () => {
  it('sends no format for text', () => {
    expect(parse(undefined)).toBeUndefined();
    expect(parse({ type: 'text' })).toBeUndefined();
  });

  it('sends a JSON schema as it is, with and without its type', () => {
    const schema = { type: 'object', properties: { next: { $ref: '#' } } };
    expect(parse({ type: 'json_schema', schema })?.wire).toEqual({ type: 'json_schema', schema });
    expect(parse({ schema, retryCount: 0 })?.wire).toEqual({ type: 'json_schema', schema, retryCount: 0 });
    expect(parse({ schema: { anyOf: [schema] } })?.wire.schema).toEqual({ anyOf: [schema] });
  });

  it('sends the JSON schema of the input of a zod schema', () => {
    const schema = z.object({ since: z.string().transform(Number), open: z.boolean().default(true) });
    expect(parse({ schema })?.wire.schema).toMatchObject({
      type: 'object',
      properties: { since: { type: 'string' } },
      required: ['since'],
    });
    expect(parse({ schema: mini.object({ a: mini.string() }) })?.wire.schema).toMatchObject({
      properties: { a: { type: 'string' } },
    });
  });

  it.each<readonly [string, unknown]>([
    ['null', null],
    ['text', 'json'],
    ['an unknown type', { type: 'json' }],
    ['no schema', { type: 'json_schema' }],
    ['an unknown key', { schema: {}, retries: 1 }],
    ['a negative count', { schema: {}, retryCount: -1 }],
    ['a schema of text', { schema: 'object' }],
    ['a list', { schema: [{ type: 'object' }] }],
    ['a function', { schema: () => true }],
    ['an unknown kind', { schema: { type: 'banana' } }],
    ['properties that are none', { schema: { type: 'object', properties: 7 } }],
    ['a property that is no schema', { schema: { type: 'object', properties: { a: 'string' } } }],
    ['a required key that is no list', { schema: { type: 'object', required: 'a' } }],
    ['an unknown kind inside', { schema: { type: 'object', properties: { a: { type: 'banana' } } } }],
    ['what is no object', { schema: { type: 'array', items: {} } }],
    ['a circle', { schema: circle }],
    ['a schema deeper than the stack', { schema: deep }],
    ['a bigint', { schema: { type: 'object', maxProperties: 1n } }],
    ['a schema of another library', { schema: { '~standard': { version: 1, vendor: 'x' } } }],
    ['a schema of zod 3', { schema: { _def: { typeName: 'ZodObject' }, parse: () => undefined } }],
    ['a zod schema of a list', { schema: z.array(z.string()) }],
    ['a zod schema without a JSON schema', { schema: z.object({ at: z.date() }) }],
  ])('refuses the format of a prompt for %s', (_, format) => {
    expect(() => parse(format)).toThrow(TypeError);
    expect(() => parse(format)).toThrow(/^Invalid format of a prompt: .{10}/);
  });
});

describe('an answer of a format', () => {
  const schema = z.object({ name: z.string(), tags: z.array(z.string()) });

  it('returns what the zod schema makes of the answer', async () => {
    const parsed = parse({ schema: schema.transform(({ name }) => name.length) });
    expect(await parsed?.parse({ name: 'abc', tags: [] })).toEqual({ value: 3 });
  });

  it('returns what the model gave by a JSON schema', async () => {
    const parsed = parse({ schema: { type: 'object', required: ['a'] } });
    expect(await parsed?.parse({ b: 1 })).toEqual({ value: { b: 1 } });
  });

  it('reports issues when the answer does not fit its format', async () => {
    expect(await parse({ schema })?.parse({ name: 1, tags: ['a', 2] })).toMatchObject({
      issues: [{ path: 'name' }, { path: 'tags.1' }],
    });
    expect(await parse({ schema: { type: 'object' } })?.parse(undefined)).toMatchObject({
      issues: [{ path: '', message: 'the model gave no object' }],
    });
  });

  it('reports an issue when a check of the caller throws', async () => {
    const throwing = schema.refine(() => {
      throw new Error('the registry is down');
    });
    expect(await parse({ schema: throwing })?.parse({ name: 'a', tags: [] })).toMatchObject({
      issues: [{ path: '', message: 'the registry is down' }],
    });
  });
});
