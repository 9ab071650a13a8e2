import type * as z from 'zod';

/** Whether a schema takes a value, and takes it as it is. */
export type Guard = (value: unknown) => boolean;

const guards = new WeakMap<z.ZodType, Guard | undefined>();

/**
 * The check a schema makes of a JSON value, without its copy of the value, which costs most of the time. It says no where
 * the schema says no; the schema itself then says why.
 *
 * @returns `undefined` for a schema that may change what it takes, or asks for more than types and refinements.
 */
export function guardOf(schema: z.ZodType): Guard | undefined {
  if (!guards.has(schema)) guards.set(schema, derive(schema));
  return guards.get(schema);
}

/** Whether a schema takes a value. */
export function accepts(schema: z.ZodType, value: unknown): boolean {
  return guardOf(schema)?.(value) ?? schema.safeParse(value).success;
}

function derive(schema: z.core.$ZodType): Guard | undefined {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if ('check' in def || 'coerce' in def) return undefined;
  const refinements = refinementsOf(def.checks ?? []);
  const base = deriveBase(def);
  if (base === undefined || refinements === undefined) return undefined;
  if (refinements.length === 0) return base;
  return (value) => base(value) && refinements.every((refinement) => refinement(value));
}

/** What a schema asks for beside the type; `undefined` when one of it is no function of the caller. */
function refinementsOf(checks: readonly z.core.$ZodCheck<never>[]): Guard[] | undefined {
  const refinements: Guard[] = [];
  for (const { _zod } of checks) {
    const def = _zod.def as z.core.$ZodCheckDef & { readonly fn?: Guard };
    if (def.check !== 'custom' || def.fn === undefined) return undefined;
    refinements.push(def.fn);
  }
  return refinements;
}

function deriveBase(def: z.core.$ZodTypes['_zod']['def']): Guard | undefined {
  switch (def.type) {
    case 'string':
    case 'boolean':
      return (value) => typeof value === def.type;
    case 'number':
      return Number.isFinite;
    case 'literal':
      return (value) => (def.values as readonly unknown[]).includes(value);
    case 'union':
      return anyOf(def.options);
    case 'optional':
      return orUndefined(derive(def.innerType));
    case 'array':
      return everyItem(derive(def.element));
    case 'object':
      return everyField(def);
    default:
      return undefined;
  }
}

function anyOf(options: readonly z.core.$ZodType[]): Guard | undefined {
  const guards: Guard[] = [];
  for (const option of options) {
    const guard = derive(option);
    if (guard === undefined) return undefined;
    guards.push(guard);
  }
  return (value) => guards.some((guard) => guard(value));
}

function orUndefined(inner: Guard | undefined): Guard | undefined {
  return inner && ((value) => value === undefined || inner(value));
}

function everyItem(item: Guard | undefined): Guard | undefined {
  return item && ((value) => Array.isArray(value) && value.every(item));
}

/** Of a loose object: any other would leave fields out, or refuse them. */
function everyField({ shape, catchall }: z.core.$ZodObjectDef): Guard | undefined {
  if ((catchall as z.core.$ZodTypes | undefined)?._zod.def.type !== 'unknown') return undefined;
  const fields: [string, Guard][] = [];
  for (const [name, schema] of Object.entries(shape)) {
    const guard = derive(schema);
    if (guard === undefined) return undefined;
    fields.push([name, guard]);
  }
  return (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    fields.every(([name, guard]) => guard((value as Record<string, unknown>)[name]));
}
