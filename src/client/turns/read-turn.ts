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
import { DEFAULT_MAX_EVENT_BYTES, isRecord, readFrames } from '../events/sse.js';
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

/** Reads the response until it says how the turn ended; what comes later does not matter. */
async function follow<T>(
  response: Response,
  steps: StepLog<RemoteAsk>,
  { signal, maxEventBytes = DEFAULT_MAX_EVENT_BYTES }: ReadTurnOptions,
): Promise<TurnResult<T>> {
  const target = { method: 'GET', path: pathOf(response.url) };
  if (!response.ok) {
    throw new RequestError({ ...target, status: response.status, body: await readErrorBody(response) });
  }
  if (response.body === null) throw noTurn(target, 'the response has no body');
  let end: Exclude<TurnMessage, { step: unknown }> | undefined;
  let hasEvents = false;
  const reading = new AbortScope([signal]);
  const onFrame = (data: string): void => {
    if (end !== undefined) return;
    hasEvents = true;
    const message = parse(target, data);
    if ('step' in message) return keep(target, steps, message.step);
    end = message;
    reading.abort(undefined);
  };
  let failure: unknown;
  try {
    const limits = { signal: reading.signal, maxFrameBytes: maxEventBytes, target };
    await readFrames(response.body, { onFrame, onActivity: () => undefined }, limits);
    // An event stream without an event was cut; anything else without one, e.g. a web page, never was a turn.
    failure =
      hasEvents || isEventStream(response)
        ? new Error('the response ended before the turn')
        : noTurn(target, 'the response is no event stream');
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

function isEventStream({ headers }: Response): boolean {
  return headers.get('content-type')?.startsWith('text/event-stream') === true;
}

function noTurn(target: RequestTarget, message: string, options?: ErrorOptions): ResponseShapeError {
  return new ResponseShapeError(target, [{ path: '', message }], options);
}

function parse(target: RequestTarget, data: string): TurnMessage {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    // It is no JSON, which is said below.
  }
  if (isRecord(value)) {
    if ('step' in value ? isStep(value.step) : isRecord(value.result) || isRecord(value.error))
      return value as unknown as TurnMessage;
  }
  throw noTurn(target, 'an event is no message of a turn');
}

/** Keeps a step for the readers. One that is nested too deep overflows the stack, which counts as a wrong shape. */
function keep(target: RequestTarget, steps: StepLog<RemoteAsk>, step: RemoteTurnStep): void {
  try {
    steps.push(step);
  } catch (cause) {
    throw noTurn(target, 'a step cannot be kept', { cause });
  }
}

/** The fields of each type of step, as `typeof` says it. */
type StepFields = {
  readonly [Type in RemoteTurnStep['type']]: {
    readonly [Field in Exclude<keyof Extract<RemoteTurnStep, { type: Type }>, 'type' | 'output'>]:
      'string' | 'number' | 'object';
  };
};

const STEP_FIELDS: StepFields = {
  message: { messageID: 'string' },
  text: { delta: 'string', messageID: 'string', partID: 'string' },
  reasoning: { delta: 'string', messageID: 'string', partID: 'string' },
  tool: { sessionID: 'string', tool: 'string', callID: 'string', status: 'string', input: 'object' },
  permission: { request: 'object', directory: 'string' },
  question: { request: 'object', directory: 'string' },
  waiting: { sessionID: 'string' },
  child: { sessionID: 'string', title: 'string', status: 'string' },
  retry: { attempt: 'number', message: 'string', next: 'number' },
  usage: { sessionID: 'string', cost: 'number', tokens: 'object' },
  dropped: { count: 'number' },
};

/** Whether a value is a step. One of a type that this version does not know is, for a newer back end. */
function isStep(value: unknown): boolean {
  if (!isRecord(value) || typeof value.type !== 'string') return false;
  const isKnown = Object.hasOwn(STEP_FIELDS, value.type);
  const fields: Readonly<Record<string, string>> = isKnown
    ? STEP_FIELDS[value.type as RemoteTurnStep['type']]
    : {};
  return (
    Object.entries(fields).every(([field, type]) => isA(type, value[field])) &&
    (value.type !== 'tool' || value.output === undefined || typeof value.output === 'string')
  );
}

function isA(type: string, value: unknown): boolean {
  return type === 'object' ? isRecord(value) : typeof value === type;
}
