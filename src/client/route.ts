/**
 * Builds a request path from a template, encoding every parameter.
 *
 * @throws {TypeError} for a parameter that is not a string, is empty, or would change the path (`.`, `..`).
 */
export function route(parts: TemplateStringsArray, ...params: readonly string[]): string {
  return parts.reduce((path, part, index) => path + encodePathParam(params[index - 1]) + part);
}

function encodePathParam(param: unknown): string {
  if (typeof param !== 'string') {
    throw new TypeError(
      `Expected an id to be a non-empty string, got ${param === null ? 'null' : typeof param}.`,
    );
  }
  if (param === '' || param === '.' || param === '..' || !param.isWellFormed()) {
    throw new TypeError(`Expected an id, got ${JSON.stringify(param)}, which cannot be part of a path.`);
  }
  return encodeURIComponent(param);
}
