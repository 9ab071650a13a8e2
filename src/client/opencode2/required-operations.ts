import * as z from 'zod';
import { lazy } from '../../core/lazy.js';

/** What every turn and disposal needs of a server, with the fields of the bodies that are sent. */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  'GET /api/info': [],
  'GET /api/event': [],
  'GET /api/location': [],
  'GET /api/debug/location': [],
  'DELETE /api/debug/location': [],
  'POST /api/session': ['location', 'permissions'],
  'GET /api/session': [],
  'GET /api/session/active': [],
  'GET /api/session/{sessionID}': [],
  'PATCH /api/session/{sessionID}': ['title'],
  'DELETE /api/session/{sessionID}': [],
  'POST /api/session/{sessionID}/fork': ['before'],
  'POST /api/session/{sessionID}/agent': ['agent'],
  'POST /api/session/{sessionID}/model': ['model'],
  'POST /api/session/{sessionID}/prompt': ['text', 'id', 'files'],
  'POST /api/session/{sessionID}/interrupt': [],
  'GET /api/session/{sessionID}/message': [],
  'GET /api/session/{sessionID}/message/{messageID}': [],
  'GET /api/permission/request': [],
  'POST /api/session/{sessionID}/permission/{requestID}/reply': ['decision', 'message'],
  'GET /api/form': [],
  'POST /api/session/{sessionID}/form/{formID}/reply': ['answer'],
  'DELETE /api/session/{sessionID}/form/{formID}': [],
  'GET /api/pty': [],
};

/** A description of an API, as far as it is read. */
interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described | undefined>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, DescribedSchema>> };
}
interface Described {
  readonly requestBody?: {
    readonly content?: Readonly<Record<string, { readonly schema?: DescribedSchema }>>;
  };
}
interface DescribedSchema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
}

export const apiDocumentSchema = lazy(() =>
  z.looseObject({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) }),
);

/** What a server lacks of the operations that this library needs, by its own description of its API; empty when it has all. */
export function missingOperations(document: unknown): string[] {
  const { paths, components } = document as ApiDocument;
  return Object.entries(REQUIRED).flatMap(([name, fields]) => {
    const [method = '', path = ''] = name.split(' ');
    const described = paths[path]?.[method.toLowerCase()];
    if (described === undefined) return [name];
    const schema = described.requestBody?.content?.['application/json']?.schema;
    const own =
      schema?.$ref === undefined ? schema : components?.schemas?.[schema.$ref.split('/').at(-1) ?? ''];
    return fields
      .filter((field) => own?.properties === undefined || !Object.hasOwn(own.properties, field))
      .map((field) => `${name} with ${field}`);
  });
}
