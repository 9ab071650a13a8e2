import type { JsonSchema } from './schema.js';

/** A parameter of an operation. */
export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema?: JsonSchema;
}

type Content = Readonly<Record<string, { readonly schema?: JsonSchema }>>;

interface OperationObject {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}

/** The part of an OpenAPI 3.1 document that is read here. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, JsonSchema>> };
}

/** One operation of the server. */
export interface Operation {
  /** `GET /session/{sessionID}`. */
  readonly name: string;
  readonly method: string;
  /** The templated path. */
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** The schema of its JSON body; `undefined` when it takes none. */
  readonly body: JsonSchema | undefined;
  /** How it answers when it succeeds. */
  readonly success: Success;
}

/** The answer of an operation that succeeds; without content it has no body. */
export interface Success {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly schema: JsonSchema | undefined;
}

/** All operations of a document, in its order. */
export function operationsOf(doc: OpenApi): Operation[] {
  return Object.entries(doc.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      parameters: operation.parameters ?? [],
      body: operation.requestBody?.content['application/json']?.schema,
      success: successOf(operation),
    })),
  );
}

function successOf(operation: OperationObject): Success {
  const [status = '200', response] =
    Object.entries(operation.responses).find(([code]) => code.startsWith('2')) ?? [];
  const [contentType, media] = Object.entries(response?.content ?? {})[0] ?? [];
  return { status: Number(status), contentType, schema: media?.schema };
}

/** The operation that a request goes to: a literal segment wins over a parameter; `undefined` when there is none. */
export function matchOperation(
  operations: readonly Operation[],
  method: string,
  pathname: string,
): Operation | undefined {
  const segments = pathname.split('/');
  return operations
    .filter((operation) => operation.method === method && matches(operation.path.split('/'), segments))
    .sort((a, b) => parametersIn(a) - parametersIn(b))[0];
}

function matches(template: readonly string[], segments: readonly string[]): boolean {
  return (
    template.length === segments.length &&
    template.every((part, index) =>
      part.startsWith('{') ? segments[index] !== '' : part === segments[index],
    )
  );
}

function parametersIn(operation: Operation): number {
  return operation.path.split('{').length - 1;
}

/** Reads the document of a running server. */
export async function readDoc(server: {
  readonly url: string;
  readonly authorization?: string | undefined;
}): Promise<OpenApi> {
  const { url, authorization } = server;
  const response = await fetch(
    `${url}/doc`,
    authorization === undefined ? {} : { headers: { authorization } },
  );
  if (!response.ok) throw new Error(`GET /doc failed with status ${response.status}.`);
  return (await response.json()) as OpenApi;
}
