import type * as z from 'zod';

/** Whether a schema takes a value, and takes it as it is. */
export type Guard = (value: unknown) => boolean;

const guards = new WeakMap<z.ZodType, Guard | undefined>();

/**
 * The check a schema makes of a JSON value, without its copy of the value, which costs most of the time. It says no where
 * the schema says no; the schema itself then says why.
 *
 * @returns `undefined` for a schema that may change what it takes, or asks for more than types.
 */
export function guardOf(schema: z.ZodType): Guard | undefined {
  if (!guards.has(schema)) guards.set(schema, derive(schema));
  return guards.get(schema);
}

function derive(schema: z.core.$ZodType): Guard | undefined {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const isPlain = !('check' in def) && !('coerce' in def) && (def.checks ?? []).length === 0;
  if (!isPlain) return undefined;
  switch (def.type) {
    case 'string':
    case 'boolean':
      return (value) => typeof value === def.type;
    case 'number':
      return Number.isFinite;
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
