import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelAnswer, Usage } from './model-answer.js';
import type { Step } from './model-steps.js';
import { orAborted } from './wait.js';

/** How an answer of the model came to its end. */
export type ModelAnswerEnd = 'answered' | 'failed' | 'cut' | 'disconnected';

/**
 * Plays the steps of a script into one answer, until they end or `signal` aborts.
 *
 * @param signal - aborts when the client has gone or the model is being closed; the answer is then cut.
 * @param nextToolCallID - must not repeat an id within a model: OpenCode pairs results with calls by it.
 * @throws what the script throws, with the answer still open.
 */
export async function play(
  steps: Iterable<Step> | AsyncIterable<Step>,
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
          for (const [index, piece] of split(step.text, step.chunks).entries()) {
            if (index > 0) await sleep(step.delayMs, undefined, { signal });
            await answer.write(step.type === 'text' ? { content: piece } : { reasoning_content: piece });
          }
          break;
        case 'tool-call': {
          const call = { name: step.tool, arguments: JSON.stringify(step.input) };
          const index = toolCalls++;
          await answer.write({
            tool_calls: [{ index, id: nextToolCallID(), type: 'function', function: call }],
          });
          break;
        }
        case 'wait':
          await sleep(step.ms, undefined, { signal });
          break;
        case 'wait-for':
          await orAborted(step.gate, signal);
          break;
        case 'hang':
          await orAborted(new Promise<never>(() => {}), signal);
          break;
        case 'fail':
          answer.fail(step.status, step.body, step.headers);
          return 'failed';
        case 'cut':
          answer.cut();
          return 'cut';
        case 'usage':
          tokens = step;
          break;
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

/** Iterates like `for await`, but also leaves an iterator that is stuck in its own await. */
async function* untilAborted<T>(
  items: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  try {
    for (;;) {
      const next = await orAborted(Promise.resolve(iterator.next()), signal);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

function split(content: string, chunks: number): string[] {
  const characters = Array.from(content);
  const size = Math.max(1, Math.ceil(characters.length / chunks));
  const pieces: string[] = [];
  for (let start = 0; start < characters.length; start += size) {
    pieces.push(characters.slice(start, start + size).join(''));
  }
  return pieces;
}
