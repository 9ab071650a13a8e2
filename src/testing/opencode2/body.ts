import { parseJson } from '../http/body.js';
import { isRecord } from '../http/prompt-body.js';
import { invalid } from './replies.js';

/** The fields of a body: their types; `?` after a name makes a field optional, and allows `null`. */
export type BodyFields = Readonly<Record<string, 'string' | 'object' | 'array' | 'boolean'>>;

/** Reads a body that must be an object with these fields, or refuses it as the server does. Other fields are let in. */
export function readBody(bodyText: string, fields: BodyFields): Record<string, unknown> | Response {
  const body = bodyText === '' ? undefined : parseJson(bodyText);
  if (bodyText !== '' && body === undefined) return invalid('Expected a valid JSON body');
  if (!isRecord(body)) return invalid('Expected object');
  for (const [field, type] of Object.entries(fields)) {
    const name = field.replace('?', '');
    const value = body[name];
    const isOptional = field.endsWith('?');
    if (isOptional && (value === undefined || value === null)) continue;
    if (value === undefined) return invalid(`Missing key\n  at ["${name}"]`);
    if (!hasType(value, type))
      return invalid(`Expected ${type}${isOptional ? ' | null' : ''}\n  at ["${name}"]`);
  }
  return body;
}

/** Refuses an id that does not begin with its prefix; `undefined` for one that does. */
export function refuseID(
  prefix: string,
  name: string,
  id: unknown,
  kind: 'Payload' | 'Params',
): Response | undefined {
  if (typeof id === 'string' && id.startsWith(prefix)) return undefined;
  return invalid(`Expected a string starting with "${prefix}"\n  at ["${name}"]`, kind);
}

function hasType(value: unknown, type: BodyFields[string]): boolean {
  if (type === 'array') return Array.isArray(value);
  return type === 'object' ? isRecord(value) : typeof value === type;
}
