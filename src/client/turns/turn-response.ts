import { MAX_TIMER_MS } from '../../core/clock.js';
import { realTime } from '../../core/real-time.js';
import {
  aBoolean,
  anObject,
  assertOptions,
  orFalse,
  positiveMs,
  type OptionChecks,
} from '../../core/checks.js';
import { toProblem } from '../http/problem.js';
import type { TurnStep } from './steps/turn-step.js';
import type { RemoteTurnStep, TurnMessage } from './result/turn-message.js';
import type { TurnResult } from './result/turn-result.js';

/** Options of `turn.toResponse()`. */
export interface TurnResponseOptions {
  /** Headers to add or replace, e.g. those of CORS; one that is `undefined` is left out. */
  readonly headers?: Headers | Readonly<Record<string, string | undefined>> | undefined;
  /**
   * Milliseconds without a step after which a comment is sent, so that no proxy takes the connection for dead; `false` for never.
   *
   * @default 15_000
   */
  readonly heartbeatMs?: number | false | undefined;
  /** Aborts the turn when the client goes away before its end. @default false */
  readonly abortOnCancel?: boolean | undefined;
}

const optionChecks: OptionChecks<TurnResponseOptions> = {
  headers: anObject,
  heartbeatMs: orFalse(positiveMs),
  abortOnCancel: aBoolean,
};

const HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Nginx collects an answer before it passes it on, unless this is said.
  'x-accel-buffering': 'no',
};
const HEARTBEAT = ': \n\n';

/** What a response needs of a turn. */
export interface RespondingTurn {
  readonly result: Promise<TurnResult>;
  read(signal: AbortSignal): AsyncIterable<TurnStep>;
  abort(): Promise<void>;
}

/** Makes the response of `turn.toResponse()`. */
export function turnResponse(turn: RespondingTurn, options: TurnResponseOptions = {}): Response {
  assertOptions('turn.toResponse()', optionChecks, options);
  const { heartbeatMs = 15_000, abortOnCancel = false } = options;
  const headers = headersWith(options.headers);
  const gone = new AbortController();
  const frames = framesOf(turn, gone.signal);
  const encoder = new TextEncoder();
  let timer: ReturnType<typeof realTime.setTimeout> | undefined;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const beat = (): void => {
          controller.enqueue(encoder.encode(HEARTBEAT));
          arm();
        };
        const arm = (): void => {
          if (heartbeatMs === false) return;
          timer = realTime.setTimeout(beat, Math.min(heartbeatMs, MAX_TIMER_MS));
        };
        arm();
        const next = await frames.next();
        realTime.clearTimeout(timer);
        if (gone.signal.aborted) return;
        if (next.done === true) controller.close();
        else controller.enqueue(encoder.encode(next.value));
      },
      cancel() {
        realTime.clearTimeout(timer);
        gone.abort();
        // Ends a generator that waits for the next pull; the abort ends one that waits for a step.
        void frames.return();
        if (abortOnCancel) turn.abort().catch(() => undefined);
      },
    },
    // Steps are read only as fast as the client takes them: those that wait are joined.
    { highWaterMark: 0 },
  );
  return new Response(body, { headers });
}

/** The headers of the caller, and those of a response that he did not give. */
function headersWith(given: TurnResponseOptions['headers'] = {}): Headers {
  // By the method, not the class: a test environment may have a `Headers` of its own.
  const pairs = Symbol.iterator in given ? [...given] : Object.entries(given);
  const headers = new Headers(pairs.filter((pair): pair is [string, string] => pair[1] !== undefined));
  for (const [name, value] of Object.entries(HEADERS)) if (!headers.has(name)) headers.set(name, value);
  return headers;
}

async function* framesOf(turn: RespondingTurn, gone: AbortSignal): AsyncGenerator<string, void, undefined> {
  try {
    for await (const step of turn.read(gone)) yield frame({ step: jsonOf(step) });
    if (!gone.aborted) yield frame({ result: await turn.result });
  } catch (error) {
    yield frame({ error: toProblem(error) });
  }
}

function jsonOf(step: TurnStep): RemoteTurnStep {
  switch (step.type) {
    case 'permission':
      return { type: step.type, request: step.request, directory: step.directory };
    case 'question':
      return { type: step.type, request: step.request, directory: step.directory };
    default:
      return step;
  }
}

function frame(message: TurnMessage): string {
  return `data: ${JSON.stringify(message)}\n\n`;
}
