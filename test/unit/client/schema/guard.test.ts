import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { guardOf } from '../../../../src/client/schema/guard.js';
import { messageListSchema, messageSchema } from '../../../../src/client/schema/message.js';
import { sessionListSchema, sessionSchema, todoListSchema } from '../../../../src/client/schema/session.js';

fc.configureGlobal({ seed: Number(process.env['FUZZ_SEED'] ?? 1) });

const SCHEMAS: readonly [string, z.ZodType][] = [
  ['a session', sessionSchema()],
  ['a list of sessions', sessionListSchema()],
  ['a list of todos', todoListSchema()],
  ['a message', messageSchema()],
  ['a list of messages', messageListSchema()],
  ['a choice', z.union([z.literal(['user', 1.5]), z.boolean(), z.array(z.number())])],
  ['a tree', z.looseObject({ a: z.array(z.looseObject({ b: z.boolean().optional() })), c: z.number() })],
];

/** JSON that is often what a schema asks for, and as often not quite. */
const { value: nearlyRight } = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom<unknown>(
      '',
      'ses_1',
      'user',
      'assistant',
      'text',
      'tool',
      'snapshot',
      0,
      1.5,
      true,
      null,
    ),
    fc.constant(JSON.parse('1e999') as unknown),
  ),
  value: fc.oneof(
    { depthSize: 'medium' },
    { arbitrary: tie('leaf'), weight: 3 },
    { arbitrary: fc.array(tie('value'), { maxLength: 3 }), weight: 1 },
    { arbitrary: tie('fields'), weight: 3 },
  ),
  fields: fc.dictionary(
    fc.constantFrom(
      ...['id', 'directory', 'title', 'parentID', 'time', 'created', 'updated', 'content', 'name', 'mode'],
      ...['a', 'b', 'c', '__proto__'],
    ),
    tie('value'),
  ),
}));
const tokens = { input: 1, output: 1, reasoning: 0, cache: { read: 0, write: 0 } };
const answered = { id: 'msg_2', sessionID: 'ses_1', parentID: 'msg_1', time: { created: 1, completed: 2 } };
const MESSAGE = {
  info: { role: 'assistant', ...answered, cost: 0, tokens, error: { name: 'APIError' } },
  parts: [
    { id: 'prt_1', messageID: 'msg_2', type: 'text', text: 'Done.' },
    { id: 'prt_2', messageID: 'msg_2', type: 'snapshot' },
  ],
};
const SESSION = { id: 'ses_1', directory: '/a', title: 't', time: { created: 1, updated: 2 }, extra: [1] };

/** The path of every value in an object, as keys. */
function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    [key],
    ...pathsOf(inner).map((path) => [key, ...path]),
  ]);
}

describe('guardOf', () => {
  it.each(SCHEMAS)('agrees on %s with the schema, which changes no value', (_name, schema) => {
    const guard = guardOf(schema) ?? (() => undefined);
    fc.assert(
      fc.property(nearlyRight, (value) => {
        const parsed = schema.safeParse(value);
        expect(guard(value)).toBe(parsed.success);
        // The one field that zod leaves out.
        const hasProto = JSON.stringify(value).includes('"__proto__"');
        if (parsed.success && !hasProto) expect(parsed.data).toEqual(value);
      }),
      { numRuns: 1_000 },
    );
  });

  it('agrees on a message with one value that may be wrong with the schema', () => {
    const guard = guardOf(messageSchema()) ?? (() => undefined);
    fc.assert(
      fc.property(fc.constantFrom(...pathsOf(MESSAGE)), fc.option(nearlyRight), (path, value) => {
        const message = structuredClone(MESSAGE);
        let target: object = message;
        for (const key of path.slice(0, -1)) target = Reflect.get(target, key) as object;
        const last = path.at(-1) ?? '';
        if (value !== null) Reflect.set(target, last, value);
        else if (Array.isArray(target)) target.splice(Number(last), 1);
        else Reflect.deleteProperty(target, last);
        expect(guard(message)).toBe(messageSchema().safeParse(message).success);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['a message', messageSchema(), MESSAGE],
    [
      'a message of a role that is not known',
      messageSchema(),
      { ...MESSAGE, info: { ...answered, role: 'x' } },
    ],
    ['a session', sessionSchema(), SESSION],
    ['a list of sessions', sessionListSchema(), [SESSION, { ...SESSION, parentID: 'ses_2' }]],
  ])('accepts %s by its guard', (_name, schema, value) => {
    expect(guardOf(schema)?.(value)).toBe(true);
    expect(schema.parse(value)).toEqual(value);
  });

  it.each([
    ['null', null],
    ['a list', [SESSION]],
    ['no id', { ...SESSION, id: undefined }],
    ['an id that is no text', { ...SESSION, id: 1 }],
    ['a time that is no object', { ...SESSION, time: 1 }],
    ['a number that is none', { ...SESSION, time: { created: Number.NaN, updated: 1 } }],
    ['an optional field that is null', { ...SESSION, parentID: null }],
  ])('refuses %s for a session', (_name, value) => {
    expect(guardOf(sessionSchema())?.(value)).toBe(false);
    expect(sessionSchema().safeParse(value).success).toBe(false);
  });

  it.each([
    ['a transformation', z.string().transform(Number)],
    ['an overwrite', z.looseObject({}).overwrite((value) => value)],
    ['a limit', z.string().min(1)],
    ['a format', z.url()],
    ['an integer', z.int()],
    ['a coercion', z.coerce.number()],
    ['a default', z.string().default('x')],
    ['an object that drops fields', z.object({ a: z.string() })],
    ['an object that refuses fields', z.strictObject({ a: z.string() })],
    ['a field of any kind, which must be there', z.looseObject({ a: z.unknown() })],
    ['a choice of which one changes its value', z.union([z.string().trim(), z.number()])],
    ['a refinement beside a limit', z.string().min(1).refine(Boolean)],
    ['a record', z.record(z.string(), z.string())],
    ['one of those in a list', z.array(z.looseObject({ a: z.string().min(1).optional() }))],
  ])('makes no guard for %s', (_name, schema) => {
    expect(guardOf(schema)).toBeUndefined();
  });
});
