import type { WireRequest } from './worlds.js';

/** Sends a request as the library would, without the library. */
export function wireFetch(
  url: string,
  serverPassword: string,
  path: string,
  request: WireRequest = {},
): Promise<Response> {
  const { method = 'GET', directory, json, password = serverPassword } = request;
  const headers = new Headers(request.headers);
  if (directory !== undefined) headers.set('x-opencode-directory', encodeURIComponent(directory));
  if (password !== false) {
    headers.set('authorization', `Basic ${Buffer.from(`opencode:${password}`).toString('base64')}`);
  }
  if (json !== undefined) headers.set('content-type', 'application/json');
  const body = json === undefined ? request.body : JSON.stringify(json);
  const { signal = null } = request;
  return fetch(url + path, { method, headers, signal, ...(body === undefined ? {} : { body }) });
}
