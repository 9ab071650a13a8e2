import { aNumber, anObject, assertOptions, positiveInteger, type OptionChecks } from '../../core/checks.js';
import { matchPath } from './route.js';
import type { MockOperation } from './operations.js';
import { parseOperation } from './operations.js';

/** How a request fails. */
export interface RequestFailure {
  /** The first of the matching requests that fails, counted from now. @default 1 */
  readonly nth?: number | undefined;
  /** How many fail from there on. @default 1 */
  readonly times?: number | undefined;
  /** Without one the connection breaks and there is no answer. */
  readonly status?: number | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
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

/** Which requests are to fail. */
export class RequestFaults {
  readonly #faults = new Set<Fault>();

  /** @throws {RangeError} {@link TypeError} for what cannot be. */
  add(operation: MockOperation, failure: RequestFailure = {}): Disposable {
    assertOptions('failRequest()', failureChecks, failure);
    const { nth = 1, times = 1 } = failure;
    const fault = { ...failure, ...parseOperation(operation), first: nth, last: nth + times - 1, seen: 0 };
    this.#faults.add(fault);
    return { [Symbol.dispose]: () => void this.#faults.delete(fault) };
  }

  /** The answer of a request that is to fail; `undefined` for any other. */
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
