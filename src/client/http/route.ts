/**
 * Builds a request path from a template, encoding every parameter.
 *
 * @throws {TypeError} for a parameter that is not a string, is empty, or would change the path (`.`, `..`).
 */
export function route(parts: TemplateStringsArray, ...params: readonly string[]): string {
  return parts.reduce((path, part, index) => path + encodePathParam(params[index - 1]) + part);
}

/**
 * Refuses a parameter that cannot be one segment of a path.
 *
 * @throws {TypeError} unless it is a string that is not empty, `.` or `..`.
 */
export function assertPathParam(param: unknown): asserts param is string {
  if (typeof param !== 'string') {
    throw new TypeError(
      `Expected an id to be a non-empty string, got ${param === null ? 'null' : typeof param}.`,
    );
  }
  if (param === '' || param === '.' || param === '..' || !param.isWellFormed()) {
    throw new TypeError(`Expected an id, got ${JSON.stringify(param)}, which cannot be part of a path.`);
  }
}

function encodePathParam(param: unknown): string {
  assertPathParam(param);
  return encodeURIComponent(param);
}
