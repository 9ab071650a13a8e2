import type { MockHandler, MockOperation } from './operations.js';
import { parseOperation } from './operations.js';
import { handlerFailed } from './replies.js';
import { matchPath, type MockRequest } from './route.js';

interface CustomHandler {
  readonly operation: string;
  readonly method: string;
  readonly pattern: string;
  readonly handle: MockHandler<MockOperation>;
}

/** The handlers by which a test answers requests itself. */
export class CustomHandlers {
  #handlers: readonly CustomHandler[] = [];

  /**
   * Adds a handler, which wins over older ones until the returned object is disposed.
   *
   * @throws {TypeError} for an invalid operation or handler.
   */
  add(operation: MockOperation, handle: MockHandler<MockOperation>): Disposable {
    if (typeof handle !== 'function') {
      throw new TypeError(`Expected a handler to be a function, got ${typeof handle}.`);
    }
    const handler = { operation, ...parseOperation(operation), handle };
    this.#handlers = [handler, ...this.#handlers];
    return {
      [Symbol.dispose]: () => {
        this.#handlers = this.#handlers.filter((one) => one !== handler);
      },
    };
  }

  /** The answer of the newest matching handler; `undefined` when none matches. */
  answer(request: MockRequest, headers: Headers): Promise<Response> | undefined {
    for (const handler of this.#handlers) {
      const params = handler.method === request.method ? matchPath(handler.pattern, request.path) : undefined;
      if (params !== undefined) return answerWith(handler, { ...request, params, headers });
    }
    return undefined;
  }
}

async function answerWith(
  { operation, handle }: CustomHandler,
  request: Parameters<MockHandler<MockOperation>>[0],
): Promise<Response> {
  try {
    const answer = await handle(request);
    if (answer instanceof Response) return answer;
    return answer === undefined ? new Response(null, { status: 204 }) : Response.json(answer);
  } catch (error) {
    return handlerFailed(operation, error);
  }
}
