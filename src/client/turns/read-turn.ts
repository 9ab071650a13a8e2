import { AbortScope, deferred } from '../../core/abort.js';
import { aSignal, assertOptions, positiveInteger, type OptionChecks } from '../../core/checks.js';
import {
  ConnectionError,
  RemoteTurnError,
  RequestError,
  ResponseShapeError,
  ResponseTooLargeError,
  type RequestTarget,
} from '../../errors.js';
import { DEFAULT_MAX_EVENT_BYTES, readFrames } from '../events/sse.js';
import { readErrorBody } from '../http/response.js';
import { StepLog } from './steps/step-log.js';
import { textOf } from './steps/text-of.js';
import type { RemoteAsk, RemoteTurnStep, TurnMessage } from './result/turn-message.js';
import type { TurnResult } from './result/turn-result.js';

/** A turn as `turn.toResponse()` gives it: iterate it for its steps, await `result` for its answer. */
export interface RemoteTurn<T = unknown> extends AsyncIterable<RemoteTurnStep> {
  /**
   * The answer. Rejects with {@link RemoteTurnError} when the turn ended without one, with {@link RequestError} for a response with a
   * status that is not 2xx, with {@link ConnectionError} when the response was cut, with {@link ResponseShapeError} when it is no
   * turn, and with the reason of `signal`.
   */
  readonly result: Promise<TurnResult<T>>;
  /** The text of the answer as it grows, with a blank line between messages. */
  readonly text: AsyncIterable<string>;
}

/** Options of {@link readTurn}. */
export interface ReadTurnOptions {
  /** Ends the reading; the turn itself goes on. */
  readonly signal?: AbortSignal | undefined;
  /** How long one event may be, in bytes. @default 134_217_728 (128 MiB) */
  readonly maxEventBytes?: number | undefined;
}

const optionChecks: OptionChecks<ReadTurnOptions> = { signal: aSignal, maxEventBytes: positiveInteger };

/**
 * Reads what `turn.toResponse()` sent, e.g. in a browser. As with a `Turn`, any number of loops may read it, each from the beginning.
 *
 * @example
 * ```ts
 * const turn = readTurn(await fetch('/chat', { method: 'POST', body: question }));
 * for await (const piece of turn.text) show(piece);
 * const { cost } = await turn.result;
 * ```
 *
 * @throws {TypeError} if an argument is invalid.
 */
export function readTurn<T = unknown>(response: Response, options: ReadTurnOptions = {}): RemoteTurn<T> {
  if (!(typeof response === 'object' && response !== null && 'body' in response))
    throw new TypeError(`Expected a Response, got ${typeof response}.`);
  assertOptions('readTurn()', optionChecks, options);
  const steps = new StepLog<RemoteAsk>();
  const result = deferred<TurnResult<T>>();
  follow<T>(response, steps, options).then(
    (value) => {
      result.resolve(value);
      steps.end({});
    },
    (error: unknown) => {
      result.reject(error);
      steps.end({ error });
    },
  );
  return {
    result: result.promise,
    get text() {
      return { [Symbol.asyncIterator]: () => textOf(steps.read()) };
    },
    [Symbol.asyncIterator]: () => steps.read(),
  };
}

/** The names of what an event says. */
const MEMBERS = ['step', 'result', 'error'];

/** Reads the response until it says how the turn ended; what comes later does not matter. */
async function follow<T>(
  response: Response,
  steps: StepLog<RemoteAsk>,
  { signal, maxEventBytes = DEFAULT_MAX_EVENT_BYTES }: ReadTurnOptions,
): Promise<TurnResult<T>> {
  const target = { method: 'GET', path: pathOf(response.url) };
  if (!response.ok || response.body === null) {
    throw new RequestError({ ...target, status: response.status, body: await readErrorBody(response) });
  }
  let end: Exclude<TurnMessage, { step: unknown }> | undefined;
  const reading = new AbortScope([signal]);
  const onFrame = (data: string): void => {
    if (end !== undefined) return;
    const message = parse(target, data);
    if ('step' in message) return steps.push(message.step);
    end = message;
    reading.abort(undefined);
  };
  let failure: unknown;
  try {
    const limits = { signal: reading.signal, maxFrameBytes: maxEventBytes, target };
    await readFrames(response.body, { onFrame, onActivity: () => undefined }, limits);
    failure = new Error('the response ended before the turn');
  } catch (error) {
    failure = error;
  } finally {
    reading.end();
  }
  if (end === undefined) {
    signal?.throwIfAborted();
    if (failure instanceof ResponseShapeError || failure instanceof ResponseTooLargeError) throw failure;
    throw new ConnectionError(target, { cause: failure });
  }
  if ('error' in end) throw new RemoteTurnError(end.error);
  return end.result as TurnResult<T>;
}

/** The path that was asked; a response that was made by hand has no URL. */
function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname : '/';
}

function parse(target: RequestTarget, data: string): TurnMessage {
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value === 'object' && value !== null && hasMember(value)) return value as TurnMessage;
  } catch {
    // It is no JSON, which is said below.
  }
  throw new ResponseShapeError(target, [{ path: '', message: 'an event is no message of a turn' }]);
}

function hasMember(value: object): boolean {
  return MEMBERS.some((name) => {
    const member = (value as Readonly<Record<string, unknown>>)[name];
    return typeof member === 'object' && member !== null && (name !== 'step' || 'type' in member);
  });
}
