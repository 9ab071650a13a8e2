import { isRecord } from './prompt-body.js';
import { badRequest, unknownError } from './replies.js';

/** Names of the string fields of a body; `?` after a name makes the field optional. */
type TextFields = readonly string[];

/** Parses a JSON body; `undefined` when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Reads a body that must be an object with these string fields, or refuses it as the server does. An empty body is `{}`. */
export function readBody(bodyText: string, fields: TextFields = []): Record<string, unknown> | Response {
  const json = parseJson(bodyText === '' ? '{}' : bodyText);
  if (json === undefined) return unknownError();
  if (!isRecord(json)) return badRequest(`Expected object, got ${JSON.stringify(json)}`, 'Payload');
  for (const field of fields) {
    const name = field.replace('?', '');
    const value = json[name];
    if (value === undefined && field.endsWith('?')) continue;
    if (value === undefined) return badRequest(`Missing key\n  at ["${name}"]`, 'Payload');
    if (typeof value !== 'string') {
      return badRequest(`Expected string, got ${JSON.stringify(value)}\n  at ["${name}"]`, 'Payload');
    }
  }
  return json;
}
