import type { Route } from './route.js';

/** The document of the operations: their methods, paths and the fields of their bodies. */
export function documentOf(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = templateOf(route.pattern);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'opencode HttpApi', version: '0.0.1' },
    paths,
    components: { schemas: {}, securitySchemes: {} },
    security: [],
    tags: [],
  };
}

/** The path of a route with its parameters in braces. */
export function templateOf(pattern: string): string {
  return pattern.replaceAll(/:(\w+)/g, '{$1}');
}

function operationOf({ pattern, body, of }: Route): object {
  const inPath = [...pattern.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true }));
  const location = of === 'location' ? [{ name: 'location', in: 'query', style: 'deepObject' }] : [];
  const parameters = [...inPath, ...location];
  if (body === undefined) return { parameters };
  const fields = Object.entries(body);
  const properties = Object.fromEntries(fields.map(([name, type]) => [name.replace('?', ''), { type }]));
  const required = fields.flatMap(([name]) => (name.endsWith('?') ? [] : [name]));
  const schema = { type: 'object', properties, required };
  return { parameters, requestBody: { content: { 'application/json': { schema } }, required: true } };
}
