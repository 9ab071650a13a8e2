import { describe, expect, it } from 'vitest';
import type { OpenCodeEvent } from 'jarvis-opencode';
import { TurnProgress } from '../../../../../src/client/turns/run/progress.js';

const event = (type: string, properties: object): OpenCodeEvent =>
  ({ id: 'evt_1', directory: '/srv/app', type, properties }) as OpenCodeEvent;

/** One step of the model with these parts. */
function step(
  id: string,
  parts: readonly object[],
  { sessionID = 'ses_1', ...more }: { sessionID?: string; error?: object } = {},
): OpenCodeEvent[] {
  const info = { id, sessionID, role: 'assistant', time: { created: 1 } };
  const own = { sessionID, messageID: id };
  return [
    event('message.updated', { sessionID, info }),
    event('message.part.updated', { sessionID, part: { ...own, id: 'prt_a', type: 'step-start' } }),
    ...parts.map((part, index) =>
      event('message.part.updated', { sessionID, part: { ...own, id: `prt_${index}`, ...part } }),
    ),
    event('message.part.updated', { sessionID, part: { ...own, id: 'prt_z', type: 'step-finish' } }),
    // The server says the end of a step twice.
    ...[1, 2].map(() =>
      event('message.updated', { sessionID, info: { ...info, ...more, time: { created: 1, completed: 2 } } }),
    ),
  ];
}

function emptySteps(...steps: readonly (readonly OpenCodeEvent[])[]): number {
  const progress = new TurnProgress();
  for (const one of steps.flat()) progress.onEvent(one);
  return progress.emptySteps;
}

describe('steps in which the model gives nothing', () => {
  it.each<readonly [string, readonly object[]]>([
    ['nothing', []],
    ['an empty text', [{ type: 'text', text: '' }]],
    ['nothing but blanks', [{ type: 'text', text: ' \n' }]],
  ])('counts a step as empty with %s', (_what, parts) => {
    expect(emptySteps(step('msg_1', parts), step('msg_2', parts))).toBe(2);
  });

  it.each<readonly [string, readonly object[]]>([
    ['a text', [{ type: 'text', text: 'ok' }]],
    ['a thought', [{ type: 'reasoning', text: 'hm' }]],
    ['a tool', [{ type: 'tool', state: { status: 'pending' } }]],
    ['a file', [{ type: 'file' }]],
  ])('starts the count of empty steps anew after one with %s', (_what, parts) => {
    expect(emptySteps(step('msg_1', []), step('msg_2', parts))).toBe(0);
    expect(emptySteps(step('msg_1', []), step('msg_2', parts), step('msg_3', []))).toBe(1);
  });

  it('does not count a step that ends with an error as empty', () => {
    expect(emptySteps(step('msg_1', [], { error: { name: 'APIError' } }))).toBe(0);
  });

  it('counts empty steps for each session alone', () => {
    const child = { sessionID: 'ses_2' };
    expect(emptySteps(step('msg_1', []), step('msg_2', [], child), step('msg_3', [], child))).toBe(2);
    expect(emptySteps(step('msg_1', []), step('msg_2', [{ type: 'text', text: 'x' }], child))).toBe(1);
  });

  it('counts empty steps however many child sessions there are', () => {
    const progress = new TurnProgress();
    for (let index = 0; index < 150_000; index++) {
      const info = {
        id: `msg_${index}`,
        sessionID: `ses_${index}`,
        role: 'assistant',
        time: { completed: 1 },
      };
      progress.onEvent(event('message.updated', { sessionID: info.sessionID, info }));
    }
    expect(progress.emptySteps).toBe(1);
  });
});
