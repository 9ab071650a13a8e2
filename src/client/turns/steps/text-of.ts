import { endAtOnce } from './end-at-once.js';
import type { AskType, TurnStepOf } from './turn-step.js';

/** Yields the text of the steps, with a blank line between the messages that have any. */
export function textOf(
  steps: AsyncGenerator<TurnStepOf<AskType>, void, undefined>,
): AsyncGenerator<string, void, undefined> {
  return endAtOnce(piecesOf(steps), () => void steps.return());
}

async function* piecesOf(steps: AsyncIterable<TurnStepOf<AskType>>): AsyncGenerator<string, void, undefined> {
  let messageID: string | undefined;
  for await (const step of steps) {
    if (step.type !== 'text') continue;
    const isNext = messageID !== undefined && messageID !== step.messageID;
    messageID = step.messageID;
    yield isNext ? `\n\n${step.delta}` : step.delta;
  }
}
