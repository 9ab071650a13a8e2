import type { AskType, TurnStepOf } from './turn-step.js';

/** Yields the text of the steps, with a blank line between the messages that have any. */
export async function* textOf(
  steps: AsyncIterable<TurnStepOf<AskType>>,
): AsyncGenerator<string, void, undefined> {
  let messageID: string | undefined;
  for await (const step of steps) {
    if (step.type !== 'text') continue;
    const isNext = messageID !== undefined && messageID !== step.messageID;
    messageID = step.messageID;
    yield isNext ? `\n\n${step.delta}` : step.delta;
  }
}
