import { aNumber, anObject, assertOptions, positiveInteger, type OptionChecks } from '../../core/checks.js';
import { matchPath } from './route.js';
import type { MockOperation } from './operations.js';
import { parseOperation } from './operations.js';

/** How a request fails. */
export interface RequestFailure {
  /** The first matching request that fails, counted from now, a positive integer. @default 1 */
  readonly nth?: number | undefined;
  /** How many matching requests fail from there on; `Infinity` for all. @default 1 */
  readonly times?: number | undefined;
  /** The status of the answer, 200 to 599. @default no answer: the connection breaks */
  readonly status?: number | undefined;
  /** The body of the answer, sent as JSON. @default an empty body */
  readonly body?: unknown;
  /** The headers of the answer. @default {} */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

const failureChecks: OptionChecks<RequestFailure> = {
  nth: positiveInteger,
  times: aNumber('a positive number', (value) => value > 0),
  status: aNumber(
    'an integer from 200 to 599',
    (value) => Number.isInteger(value) && value >= 200 && value <= 599,
  ),
  body: () => undefined,
  headers: anObject,
};

interface Fault extends RequestFailure {
  readonly method: string;
  readonly pattern: string;
  readonly first: number;
  readonly last: number;
  seen: number;
}

/** The requests that are to fail. */
export class RequestFaults {
  readonly #faults = new Set<Fault>();

  /**
   * Adds a fault, which ends early when the returned object is disposed.
   *
   * @throws {TypeError} {@link RangeError} for an invalid operation or failure.
   */
  add(operation: MockOperation, failure: RequestFailure = {}): Disposable {
    assertOptions('failRequest()', failureChecks, failure);
    const { nth = 1, times = 1 } = failure;
    const fault = { ...failure, ...parseOperation(operation), first: nth, last: nth + times - 1, seen: 0 };
    this.#faults.add(fault);
    return { [Symbol.dispose]: () => void this.#faults.delete(fault) };
  }

  /** Counts a request. @returns its answer when it is to fail, else `undefined`. */
  take(method: string, path: string): Response | undefined {
    let failure: Fault | undefined;
    for (const fault of this.#faults) {
      if (fault.method !== method || matchPath(fault.pattern, path) === undefined) continue;
      fault.seen += 1;
      if (fault.seen < fault.first) continue;
      if (fault.seen >= fault.last) this.#faults.delete(fault);
      failure ??= fault;
    }
    if (failure === undefined) return undefined;
    const { status, body, headers = {} } = failure;
    if (status === undefined) return Response.error();
    if (body === undefined) return new Response(null, { status, headers });
    return Response.json(body, { status, headers });
  }
}
