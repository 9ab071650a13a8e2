import { abortable, delay } from '../../core/abort.js';
import { piecesOf, RETRY_STATUS, type MockStep } from '../script/steps.js';
import type { ModelAnswer, Usage } from './model-answer.js';
import type { ModelStep } from './model-steps.js';

/** How an answer of the model ended. */
export type ModelAnswerEnd = 'answered' | 'failed' | 'cut' | 'disconnected';

/** The name and the input of a tool call, the input as JSON. */
interface ModelToolCall {
  readonly name: string;
  readonly arguments: string;
}

/**
 * Plays the steps of a script into one answer, until they end or `signal` aborts.
 *
 * @param signal - aborts when the client hangs up or the model is closed; the answer is then cut.
 * @param nextToolCallID - gives a new id within the model: OpenCode pairs results with calls by it.
 * @throws the error of the script; the answer is still open then.
 */
export async function play(
  steps: Iterable<ModelStep> | AsyncIterable<ModelStep>,
  answer: ModelAnswer,
  signal: AbortSignal,
  nextToolCallID: () => string,
): Promise<ModelAnswerEnd> {
  let tokens: Usage = { input: 10, output: 5 };
  let toolCalls = 0;
  try {
    for await (const step of untilAborted(steps, signal)) {
      switch (step.type) {
        case 'text':
        case 'reasoning':
          for (const [index, piece] of piecesOf(step.text, step.chunks).entries()) {
            if (index > 0) await delay(step.delayMs, signal);
            await answer.write(step.type === 'text' ? { content: piece } : { reasoning_content: piece });
          }
          break;
        case 'tool':
        case 'question':
        case 'subtask': {
          const index = toolCalls++;
          await answer.write({
            tool_calls: [{ index, id: nextToolCallID(), type: 'function', function: toolCallOf(step) }],
          });
          break;
        }
        case 'wait':
          await delay(step.ms, signal);
          break;
        case 'wait-for':
          await abortable(Promise.resolve(step.gate), signal);
          break;
        case 'hang':
          await abortable(new Promise<never>(() => undefined), signal);
          break;
        case 'fail':
          answer.fail(400, errorOf(step.message, step.name));
          return 'failed';
        case 'retry':
          // Without the header, or with a 0, OpenCode waits two seconds.
          answer.fail(RETRY_STATUS, errorOf(step.message, 'overloaded'), {
            'retry-after-ms': String(Math.max(1, step.afterMs)),
          });
          return 'failed';
        case 'empty':
          answer.finishEmpty();
          return 'answered';
        case 'http-error':
          answer.fail(step.status, step.body, step.headers);
          return 'failed';
        case 'cut':
          answer.cut();
          return 'cut';
        case 'usage':
          tokens = step;
          break;
        default:
          throw new TypeError(`The script yielded no step: ${JSON.stringify(step)}.`);
      }
    }
    await answer.finish(tokens);
    return 'answered';
  } catch (error) {
    if (!signal.aborted) throw error;
    answer.cut();
    return 'disconnected';
  }
}

function errorOf(message: string, type: string): object {
  return { error: { message, type } };
}

function toolCallOf(step: Extract<MockStep, { type: 'tool' | 'question' | 'subtask' }>): ModelToolCall {
  switch (step.type) {
    case 'tool':
      return { name: step.tool, arguments: JSON.stringify(step.input) };
    case 'question':
      return { name: 'question', arguments: JSON.stringify({ questions: step.questions }) };
    case 'subtask': {
      const { description, prompt, agent } = step;
      return { name: 'task', arguments: JSON.stringify({ description, prompt, subagent_type: agent }) };
    }
  }
}

/** Iterates like `for await`, but also ends while the iterator is stuck in an await of its own. */
async function* untilAborted<T>(
  items: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  try {
    for (;;) {
      const next = await abortable(Promise.resolve(iterator.next()), signal);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
