import * as z from 'zod';
import { RequestError, ResponseShapeError, ResponseTooLargeError, type RequestTarget } from '../../errors.js';
import { guardOf } from '../schema/guard.js';
import type { Schema } from '../schema/wire.js';

const MAX_ERROR_BODY_BYTES = 64 * 1024;
/**
 * The longest answer that is read in one go. In a browser it may have been compressed without a sign of it;
 * decompression makes at most 1,032 bytes of one.
 */
const SMALL_BYTES = 64 * 1024;
/** How many issues a `ResponseShapeError` keeps. */
const MAX_ISSUES = 10;

/** How much of an answer to read. */
export interface ReadLimit {
  /** The longest body to accept, in bytes after decompression. */
  readonly maxBytes: number;
}

/**
 * Reads an answer as JSON and checks it. An answer without a body (204) counts as `undefined`.
 *
 * @throws {RequestError} for the web page.
 * @throws {ResponseShapeError} when it is not JSON or not what the schema says.
 * @throws {ResponseTooLargeError} when it is too long; its connection is closed then.
 */
export async function readJson<T>(
  target: RequestTarget,
  schema: Schema<T>,
  response: Response,
  limit: ReadLimit,
): Promise<T> {
  const text = await readBody(target, response, limit);
  return parseBody(target, schema, response.status === 204 ? undefined : parseJson(target, response, text));
}

/**
 * Checks a body.
 *
 * @throws {ResponseShapeError} when it is not what the schema says.
 */
export function parseBody<T>(target: RequestTarget, schema: Schema<T>, body: unknown): T {
  const parsed = check(target, schema(), body);
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues.slice(0, MAX_ISSUES);
  const issues = first.map((issue) => ({ path: issue.path.join('.'), message: issue.message }));
  // Does not keep zod's own error as the cause: it holds one issue per wrong item, without bound.
  throw new ResponseShapeError(target, issues, { cause: new z.ZodError(first) });
}

/**
 * Reads an answer as text.
 *
 * @throws {RequestError} for the web page.
 * @throws {ResponseTooLargeError} when it is too long; its connection is closed then.
 */
export async function readText(target: RequestTarget, response: Response, limit: ReadLimit): Promise<string> {
  const text = await readBody(target, response, limit);
  refuseWebPage(target, response);
  return text;
}

/** Reads the body of an error as JSON, else as text, else `undefined`. Reads at most 64 KiB and never rejects. */
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

/** Throws when the answer is the web page, which the server sends with status 200 for every path it does not know. */
function refuseWebPage(target: RequestTarget, response: Response): void {
  if (response.headers.get('content-type')?.startsWith('text/html') !== true) return;
  throw new RequestError({ ...target, status: response.status });
}

/** Checks a body. A body that is nested too deep overflows the stack, which counts as a wrong shape. */
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

/** Reads the whole body as text. When it is longer than `maxBytes`, stops reading and closes the connection. */
async function readBody(target: RequestTarget, response: Response, { maxBytes }: ReadLimit): Promise<string> {
  const { body, headers } = response;
  if (body === null) return '';
  const length = Number(headers.get('content-length') ?? Number.NaN);
  const tooLarge = (): ResponseTooLargeError => new ResponseTooLargeError(target, maxBytes);
  if (length > maxBytes) {
    cancelRest(body);
    throw tooLarge();
  }
  // Short cut: much cheaper than reading the stream in pieces.
  if (length <= SMALL_BYTES && !headers.has('content-encoding')) return response.text();
  const { chunks, bytes } = await readChunks(body, maxBytes);
  if (bytes > maxBytes) throw tooLarge();
  return decode(chunks, bytes);
}

/** Reads the first `maxBytes` of a body as text. */
async function readStart(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string> {
  if (body === null) return '';
  const { chunks, bytes } = await readChunks(body, maxBytes);
  return decode(chunks, bytes).slice(0, maxBytes);
}

/** Reads a body until it ends or exceeds `maxBytes`; then it cancels the rest, which closes the connection. */
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

/**
 * Cancels the rest of a body. Does not wait: for a cloned body, `cancel()` resolves only when the other copy is
 * cancelled too.
 */
function cancelRest(body: Pick<ReadableStream<Uint8Array>, 'cancel'>): void {
  void body.cancel().catch(() => undefined);
}

/** Decodes the pieces as one text. It empties `chunks` as it joins them, to free their memory early. */
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
