/** The part of JSON Schema that OpenCode's document uses. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly minItems?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
}

/** What `$ref`s lead to, by name. */
export type Definitions = Readonly<Record<string, JsonSchema>>;

function resolve(schema: JsonSchema, definitions: Definitions): JsonSchema {
  if (schema.$ref === undefined) return schema;
  const target = definitions[schema.$ref.replace('#/components/schemas/', '')];
  if (target === undefined) throw new Error(`The document has no ${schema.$ref}.`);
  return resolve(target, definitions);
}

function typesOf(schema: JsonSchema): readonly string[] {
  if (schema.type === undefined) return schema.properties === undefined ? [] : ['object'];
  return typeof schema.type === 'string' ? [schema.type] : schema.type;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

// ── does a value conform? ────────────────────────────────────────────────────────────────────────────

/**
 * What a schema says against a JSON value, as `path: problem`; empty when it conforms. Of several alternatives the one
 * that fits best counts.
 */
export function problemsOf(
  schema: JsonSchema,
  value: unknown,
  definitions: Definitions,
  path = '',
): string[] {
  const resolved = resolve(schema, definitions);
  const at = path === '' ? 'body' : path;
  const alternatives = resolved.anyOf ?? resolved.oneOf;
  if (alternatives !== undefined) {
    const results = alternatives.map((alternative) => problemsOf(alternative, value, definitions, path));
    return results.reduce((best, result) => (result.length < best.length ? result : best));
  }
  const problems = (resolved.allOf ?? []).flatMap((part) => problemsOf(part, value, definitions, path));
  const allowed = resolved.const === undefined ? resolved.enum : [resolved.const];
  if (allowed !== undefined && !allowed.includes(value)) {
    return [`${at}: expected one of ${JSON.stringify(allowed)}, got ${JSON.stringify(value)}`];
  }
  const types = typesOf(resolved);
  if (types.length > 0 && !types.some((type) => isOfType(value, type))) {
    return [`${at}: expected ${types.join(' or ')}, got ${typeOf(value)}`];
  }
  if (
    typeof value === 'string' &&
    resolved.pattern !== undefined &&
    !new RegExp(resolved.pattern).test(value)
  ) {
    problems.push(`${at}: expected ${resolved.pattern}, got ${JSON.stringify(value)}`);
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const itemSchema = resolved.prefixItems?.[index] ?? resolved.items;
      if (itemSchema !== undefined)
        problems.push(...problemsOf(itemSchema, item, definitions, `${path}[${index}]`));
    }
  } else if (typeof value === 'object' && value !== null) {
    problems.push(...problemsOfObject(resolved, value, definitions, path));
  }
  return problems;
}

function isOfType(value: unknown, type: string): boolean {
  return type === 'integer' ? Number.isInteger(value) : typeOf(value) === type;
}

function problemsOfObject(
  schema: JsonSchema,
  value: object,
  definitions: Definitions,
  path: string,
): string[] {
  const problems: string[] = [];
  const below = (name: string): string => (path === '' ? name : `${path}.${name}`);
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name)) problems.push(`${below(name)}: required`);
  }
  for (const [name, item] of Object.entries(value) as [string, unknown][]) {
    const property = schema.properties?.[name] ?? schema.additionalProperties;
    if (property === false) problems.push(`${below(name)}: unknown field`);
    else if (typeof property === 'object')
      problems.push(...problemsOf(property, item, definitions, below(name)));
  }
  return problems;
}

/** What a schema says against a query parameter, which is text on its way. */
export function problemsOfText(schema: JsonSchema, text: string, definitions: Definitions): string[] {
  const number = text === '' ? Number.NaN : Number(text);
  const readings = [
    text,
    ...(Number.isNaN(number) ? [] : [number]),
    ...(/^(true|false)$/.test(text) ? [text === 'true'] : []),
  ];
  const results = readings.map((reading) => problemsOf(schema, reading, definitions));
  return results.reduce((best, result) => (result.length < best.length ? result : best));
}

// ── which values conform? ────────────────────────────────────────────────────────────────────────────

/** What the made-up values look like. */
export interface Samples {
  readonly definitions: Definitions;
  /** Values of strings by the name of their field. */
  readonly texts?: Readonly<Record<string, string>>;
  /** As a newer server would answer: with a field more in every object, and a member more in every enum of texts. */
  readonly newer?: boolean;
}

export const FROM_THE_FUTURE = 'fromTheFuture';

/**
 * Values that conform to a schema. The first is the smallest: without anything optional. Of the others, each shows an
 * alternative, an enum member, the items of a list, or everything optional at once, so that together they show all.
 */
export function samplesOf(
  schema: JsonSchema,
  samples: Samples,
  name = '',
  seen: readonly string[] = [],
): unknown[] {
  if (schema.$ref !== undefined) {
    if (seen.includes(schema.$ref)) return [{}];
    return samplesOf(resolve(schema, samples.definitions), samples, name, [...seen, schema.$ref]);
  }
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) return alternatives.flatMap((one) => samplesOf(one, samples, name, seen));
  if (schema.const !== undefined) return [schema.const];
  if (schema.enum !== undefined) {
    const isText = schema.enum.every((member) => typeof member === 'string');
    return samples.newer === true && isText ? [...schema.enum, FROM_THE_FUTURE] : [...schema.enum];
  }
  const types = typesOf(schema);
  if (types.length === 0) return [{}];
  return types.flatMap((type) => samplesOfType(type, schema, samples, name, seen));
}

function samplesOfType(
  type: string,
  schema: JsonSchema,
  samples: Samples,
  name: string,
  seen: readonly string[],
): unknown[] {
  switch (type) {
    case 'string':
      return [sampleText(schema, samples, name)];
    case 'number':
    case 'integer':
      return [schema.minimum ?? (schema.exclusiveMinimum === undefined ? 0 : schema.exclusiveMinimum + 1)];
    case 'boolean':
      return [true, false];
    case 'null':
      return [null];
    case 'array':
      return samplesOfArray(schema, samples, seen);
    case 'object':
      return samplesOfObject(schema, samples, seen);
    default:
      throw new Error(`The document has an unknown type ${type}.`);
  }
}

function sampleText(schema: JsonSchema, samples: Samples, name: string): string {
  const prefix = /^\^(\w+)/.exec(schema.pattern ?? '')?.[1];
  return prefix === undefined ? (samples.texts?.[name] ?? 'text') : `${prefix}_1`;
}

function samplesOfArray(schema: JsonSchema, samples: Samples, seen: readonly string[]): unknown[] {
  if (schema.prefixItems !== undefined) {
    return [schema.prefixItems.map((item) => samplesOf(item, samples, '', seen)[0])];
  }
  const items = schema.items === undefined ? [] : samplesOf(schema.items, samples, '', seen);
  return (schema.minItems ?? 0) > 0 ? [items] : [[], items];
}

function samplesOfObject(schema: JsonSchema, samples: Samples, seen: readonly string[]): unknown[] {
  const properties = Object.entries(schema.properties ?? {}).map(([key, property]) => ({
    key,
    isRequired: schema.required?.includes(key) === true,
    values: samplesOf(property, samples, key, seen),
  }));
  const entries = samplesOfEntries(schema, samples, seen);
  // A map has no fields of its own that a newer server could add to.
  const isMap = entries.length > 0;
  const future = samples.newer === true && !isMap ? { [FROM_THE_FUTURE]: { is: 'here' } } : {};
  const build = (chosen: typeof properties): object => ({
    ...Object.fromEntries(chosen.map(({ key, values }) => [key, values[0]])),
    ...future,
  });
  const smallest = build(properties.filter((property) => property.isRequired));
  return [
    smallest,
    ...(properties.every((property) => property.isRequired) ? [] : [build(properties)]),
    ...properties.flatMap(({ key, values }) =>
      values.slice(1).map((value) => ({ ...smallest, [key]: value })),
    ),
    ...(!isMap
      ? []
      : [{ ...smallest, ...Object.fromEntries(entries.map((value, index) => [`key${index}`, value])) }]),
  ];
}

function samplesOfEntries(schema: JsonSchema, samples: Samples, seen: readonly string[]): unknown[] {
  const { additionalProperties } = schema;
  if (typeof additionalProperties !== 'object' || Object.keys(additionalProperties).length === 0) return [];
  return samplesOf(additionalProperties, samples, '', seen);
}
