import type * as z from 'zod';
import { RequestError, ResponseShapeError, type RequestTarget } from '../errors.js';
import { guardOf } from './schema/guard.js';

const MAX_ERROR_BODY_BYTES = 64 * 1024;

/**
 * Reads an answer as JSON and checks it; `undefined` stands for an answer without a body (204).
 *
 * @throws {RequestError} for the web page.
 * @throws {ResponseShapeError} when it is not JSON or not what the schema says.
 */
export async function readJson<T>(
  target: RequestTarget,
  schema: z.ZodType<T>,
  response: Response,
): Promise<T> {
  const text = await response.text();
  const body = response.status === 204 ? undefined : parseJson(target, response, text);
  if (guardOf(schema)?.(body) === true) return body as T;
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message }));
  throw new ResponseShapeError(target, issues, { cause: parsed.error });
}

/**
 * Reads an answer as it is.
 *
 * @throws {RequestError} for the web page.
 */
export async function readText(target: RequestTarget, response: Response): Promise<string> {
  const text = await response.text();
  refuseWebPage(target, response);
  return text;
}

/** The error's body as JSON, else as text, else `undefined`; at most 64 KiB of it, and never an error of its own. */
export async function readErrorBody(response: Response): Promise<unknown> {
  const text = await readBounded(response.body, MAX_ERROR_BODY_BYTES).catch(() => '');
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function parseJson(target: RequestTarget, response: Response, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    refuseWebPage(target, response);
    const message = text === '' ? 'the body is empty' : 'the body is not valid JSON';
    throw new ResponseShapeError(target, [{ path: '', message }], { cause });
  }
}

/** The server answers every path it does not know with its web page and status 200. */
function refuseWebPage(target: RequestTarget, response: Response): void {
  if (response.headers.get('content-type')?.startsWith('text/html') !== true) return;
  throw new RequestError({ ...target, status: response.status });
}

async function readBounded(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string> {
  if (body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  // Leaving the loop early cancels the rest of the body.
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    text += decoder.decode(chunk, { stream: true });
    if (bytes >= maxBytes) break;
  }
  return text + decoder.decode();
}
