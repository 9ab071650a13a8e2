import { describe, expect, it } from 'vitest';
import type { OpenCodeEvent, TurnStep } from 'jarvis-opencode';
import { gapEvent } from '../../../../src/client/events/event-stream.js';
import { TurnSteps } from '../../../../src/client/turns/steps.js';

const sessionID = 'ses_1';
const info = { id: 'msg_2', role: 'assistant', parentID: 'msg_1', sessionID, time: { created: 1 } };

/** What a turn emits for these events; a word is a delta of the one text part, `= text` the part as a whole. */
function textOf(run: (steps: TurnSteps, take: (word: string) => void) => void): string {
  const emitted: TurnStep[] = [];
  const steps = new TurnSteps({
    sessionID,
    messageID: 'msg_1',
    isWithin: (id) => id === sessionID,
    emit: (step) => emitted.push(step),
  });
  const send = (type: string, properties: object): void =>
    steps.take({ directory: '/a', id: '', type, properties } as unknown as OpenCodeEvent);
  send('message.updated', { sessionID, info });
  run(steps, (word) => {
    if (word.startsWith('= ')) send('message.part.updated', { sessionID, part: textPart(word.slice(2)) });
    else
      send('message.part.delta', {
        sessionID,
        messageID: 'msg_2',
        partID: 'prt_1',
        field: 'text',
        delta: word,
      });
  });
  return emitted.map((step) => (step.type === 'text' ? step.delta : '')).join('');
}

function textPart(text: string): object {
  return { id: 'prt_1', messageID: 'msg_2', sessionID, type: 'text', text };
}

describe('the text of a turn', () => {
  it('is its deltas', () => {
    expect(textOf((_steps, take) => ['= ', 'one ', 'two', '= one two'].forEach(take))).toBe('one two');
  });

  it('takes no delta after a gap for the one that follows', () => {
    const text = textOf((steps, take) => {
      ['= ', 'one '].forEach(take);
      steps.take(gapEvent('reconnect', 0, []));
      ['three ', 'four', '= one two three four'].forEach(take);
    });
    expect(text).toBe('one two three four');
  });

  it('goes on with deltas when the whole text has been seen after a gap', () => {
    const text = textOf((steps, take) => {
      ['= ', 'one '].forEach(take);
      steps.take(gapEvent('reconnect', 0, []));
      ['= one two ', 'three'].forEach(take);
    });
    expect(text).toBe('one two three');
  });

  it.each([0, 1, 2])(
    'is made up for from what the server stores when events after the first %d are lost',
    (count) => {
      const text = textOf((steps, take) => {
        ['= ', 'one ', 'two'].slice(0, count).forEach(take);
        steps.complete([{ info, parts: [textPart('one two')] }] as never);
      });
      expect(text).toBe('one two');
    },
  );
});
