import * as z from 'zod';
import { RequestError, ResponseShapeError, ResponseTooLargeError, type RequestTarget } from '../../errors.js';
import { guardOf } from '../schema/guard.js';

const MAX_ERROR_BODY_BYTES = 64 * 1024;
/**
 * An answer of this length is read at once. In a browser it may have been compressed without our knowing, which makes 1,032
 * bytes of one at most.
 */
const SMALL_BYTES = 64 * 1024;
/** As many issues as a `ResponseShapeError` keeps. */
const MAX_ISSUES = 10;

/** What is read, and how much of it. */
export interface ReadLimit {
  /** In bytes, after decompression. */
  readonly maxBytes: number;
}

/**
 * Reads an answer as JSON and checks it; `undefined` stands for an answer without a body (204).
 *
 * @throws {RequestError} for the web page.
 * @throws {ResponseShapeError} when it is not JSON or not what the schema says.
 * @throws {ResponseTooLargeError} when it is too long; its connection is closed then.
 */
export async function readJson<T>(
  target: RequestTarget,
  schema: z.ZodType<T>,
  response: Response,
  limit: ReadLimit,
): Promise<T> {
  const text = await readBody(target, response, limit);
  const body = response.status === 204 ? undefined : parseJson(target, response, text);
  const parsed = check(target, schema, body);
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues.slice(0, MAX_ISSUES);
  const issues = first.map((issue) => ({ path: issue.path.join('.'), message: issue.message }));
  // Not the error itself: it has an issue for each of any number of items.
  throw new ResponseShapeError(target, issues, { cause: new z.ZodError(first) });
}

/**
 * Reads an answer as it is.
 *
 * @throws {RequestError} for the web page.
 * @throws {ResponseTooLargeError} when it is too long; its connection is closed then.
 */
export async function readText(target: RequestTarget, response: Response, limit: ReadLimit): Promise<string> {
  const text = await readBody(target, response, limit);
  refuseWebPage(target, response);
  return text;
}

/** The error's body as JSON, else as text, else `undefined`; at most 64 KiB of it, and never an error of its own. */
export async function readErrorBody(response: Response): Promise<unknown> {
  const text = await readStart(response.body, MAX_ERROR_BODY_BYTES).catch(() => '');
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

/** Checking what is nested without end uses up the stack. */
function check<T>(
  target: RequestTarget,
  schema: z.ZodType<T>,
  body: unknown,
): { readonly success: true; readonly data: T } | z.ZodSafeParseError<T> {
  try {
    if (guardOf(schema)?.(body) === true) return { success: true, data: body as T };
    return schema.safeParse(body);
  } catch (cause) {
    throw new ResponseShapeError(target, [{ path: '', message: 'the body cannot be checked' }], { cause });
  }
}

/** The whole body as text; when it is longer than `maxBytes`, no more of it is read, and the connection is closed. */
async function readBody(target: RequestTarget, response: Response, { maxBytes }: ReadLimit): Promise<string> {
  const { body, headers } = response;
  if (body === null) return '';
  const length = Number(headers.get('content-length') ?? Number.NaN);
  const tooLarge = (): ResponseTooLargeError => new ResponseTooLargeError(target, maxBytes);
  if (length > maxBytes) {
    cancelRest(body);
    throw tooLarge();
  }
  // Short cut: much cheaper than to take the stream apart.
  if (length <= SMALL_BYTES && !headers.has('content-encoding')) return response.text();
  const { chunks, bytes } = await readChunks(body, maxBytes);
  if (bytes > maxBytes) throw tooLarge();
  return decode(chunks, bytes);
}

/** The first `maxBytes` of a body as text. */
async function readStart(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string> {
  if (body === null) return '';
  const { chunks, bytes } = await readChunks(body, maxBytes);
  return decode(chunks, bytes).slice(0, maxBytes);
}

/** Reads a body until it ends, or is longer than `maxBytes`: then the rest is cancelled, which closes the connection. */
async function readChunks(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<{ readonly chunks: Uint8Array[]; readonly bytes: number }> {
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  while (bytes <= maxBytes) {
    const { done, value } = await reader.read();
    if (done) return { chunks, bytes };
    chunks.push(value);
    bytes += value.byteLength;
  }
  cancelRest(reader);
  return { chunks, bytes };
}

/** Not awaited: of a body that was cloned it resolves only when the other copy is cancelled too. */
function cancelRest(body: Pick<ReadableStream<Uint8Array>, 'cancel'>): void {
  void body.cancel().catch(() => undefined);
}

/** Lets go of the pieces as soon as they are put together. */
function decode(chunks: Uint8Array[], bytes: number): string {
  const decoder = new TextDecoder();
  const [first] = chunks;
  if (chunks.length === 1) return decoder.decode(first);
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks.splice(0)) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return decoder.decode(whole);
}
