import { describe, expect, it } from 'vitest';
import type { OpenCodeEvent, TurnStep } from 'jarvis-opencode';
import { gapEvent } from '../../../../../src/client/events/event-stream.js';
import { TurnSteps } from '../../../../../src/client/turns/steps/steps.js';

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
    steps.onEvent({ directory: '/a', id: '', type, properties } as unknown as OpenCodeEvent);
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
  it('joins the deltas of a turn to its text', () => {
    expect(textOf((_steps, take) => ['= ', 'one ', 'two', '= one two'].forEach(take))).toBe('one two');
  });

  it('does not join a delta after a gap to the text before the gap', () => {
    const text = textOf((steps, take) => {
      ['= ', 'one '].forEach(take);
      steps.onEvent(gapEvent('reconnect', 0, []));
      ['three ', 'four', '= one two three four'].forEach(take);
    });
    expect(text).toBe('one two three four');
  });

  it('goes on with deltas when the whole text has been seen after a gap', () => {
    const text = textOf((steps, take) => {
      ['= ', 'one '].forEach(take);
      steps.onEvent(gapEvent('reconnect', 0, []));
      ['= one two ', 'three'].forEach(take);
    });
    expect(text).toBe('one two three');
  });

  it.each([0, 1, 2])(
    'fills the text from what the server stores when events after the first %d are lost',
    (count) => {
      const text = textOf((steps, take) => {
        ['= ', 'one ', 'two'].slice(0, count).forEach(take);
        steps.complete([{ info, parts: [textPart('one two')] }] as never);
      });
      expect(text).toBe('one two');
    },
  );
});

/** What a turn with the child `ses_child` emits for these events. */
function stepsOf(events: readonly (readonly [type: string, properties: object])[]): TurnStep[] {
  const emitted: TurnStep[] = [];
  const steps = new TurnSteps({
    sessionID,
    messageID: 'msg_1',
    isWithin: (id) => id === sessionID || id === 'ses_child',
    emit: (step) => emitted.push(step),
  });
  for (const [type, properties] of events)
    steps.onEvent({ directory: '/a', id: '', type, properties } as unknown as OpenCodeEvent);
  return emitted;
}

const status = (id: string, now: object): readonly [string, object] => [
  'session.status',
  { sessionID: id, status: now },
];
const updated = (part: object): readonly [string, object] => ['message.part.updated', { sessionID, part }];
const tokens = { input: 1, output: 1, reasoning: 0, cache: { read: 0, write: 0 } };

describe('the steps of a turn', () => {
  it('reports the output of a tool and the usage of a call once, however often the server says it', () => {
    const ids = { messageID: 'msg_2', sessionID };
    const tool = { ...ids, id: 'prt_1', type: 'tool', tool: 'bash', callID: 'call_1' };
    const running = { status: 'running', input: { a: 1 }, time: { start: 1 } };
    const failed = { status: 'error', input: { a: 1 }, error: 'no such file' };
    const finish = { ...ids, id: 'prt_2', type: 'step-finish', reason: 'stop', cost: 2, tokens };
    const said = [{ ...tool, state: running }, { ...tool, state: failed }, finish].map(updated);
    const call = { type: 'tool', sessionID, tool: 'bash', callID: 'call_1', input: { a: 1 } };
    expect(stepsOf([['message.updated', { sessionID, info }], ...said, ...said.slice(1)])).toEqual([
      { type: 'message', messageID: 'msg_2' },
      { ...call, status: 'running', output: undefined },
      { ...call, status: 'error', output: 'no such file' },
      { type: 'usage', sessionID, cost: 2, tokens },
    ]);
  });

  it("reports retries of the turn's own session", () => {
    const retry = { type: 'retry', attempt: 2, message: 'overloaded', next: 5 };
    const idle = status(sessionID, { type: 'idle' });
    expect(
      stepsOf([status(sessionID, retry), status('ses_child', retry), status('ses_2', retry), idle]),
    ).toEqual([retry, { type: 'child', sessionID: 'ses_child', title: '', status: 'started' }]);
  });

  it('reports when a child begins and ends, which tools it runs and what they took, but not its text', () => {
    const child = { sessionID: 'ses_child', info: { id: 'ses_child', title: 'Count' } };
    const ids = { messageID: 'msg_c', sessionID: 'ses_child' };
    const input = {};
    const steps = stepsOf([
      ['session.created', child],
      status('ses_child', { type: 'busy' }),
      status('ses_2', { type: 'busy' }),
      ['message.updated', { sessionID: 'ses_child', info: { ...info, id: 'msg_c', sessionID: 'ses_child' } }],
      updated({ ...ids, id: 'prt_1', type: 'text', text: 'one' }),
      updated({ ...ids, id: 'prt_2', type: 'reasoning', text: 'two' }),
      updated({
        ...ids,
        id: 'prt_3',
        type: 'tool',
        tool: 'ls',
        callID: 'c',
        state: { status: 'pending', input },
      }),
      updated({ ...ids, id: 'prt_4', type: 'step-finish', reason: 'stop', cost: 1, tokens }),
      status('ses_child', { type: 'idle' }),
      status('ses_child', { type: 'idle' }),
    ]);
    const of = { sessionID: 'ses_child' };
    expect(steps).toEqual([
      { type: 'child', ...of, title: 'Count', status: 'started' },
      { type: 'tool', ...of, tool: 'ls', callID: 'c', status: 'pending', input, output: undefined },
      { type: 'usage', ...of, cost: 1, tokens },
      { type: 'child', ...of, title: 'Count', status: 'ended' },
    ]);
  });

  it('begins each message once, and leaves out what the server put into its text', () => {
    const said = { messageID: 'msg_2', sessionID, type: 'text' };
    const steps = stepsOf([
      ['message.updated', { sessionID, info }],
      updated({ ...said, id: 'prt_1', text: 'made', synthetic: true }),
      updated({ ...said, id: 'prt_2', text: 'hidden', ignored: true }),
      updated({ ...said, id: 'prt_3', text: 'said' }),
      ['message.updated', { sessionID, info: { ...info, time: { created: 2, completed: 3 } } }],
    ]);
    expect(steps).toMatchObject([
      { type: 'message', messageID: 'msg_2' },
      { type: 'text', delta: 'said' },
    ]);
  });

  it('leaves out the steps of another turn of the session', () => {
    const other = { ...info, id: 'msg_9', parentID: 'msg_8' };
    const part = { id: 'prt_9', messageID: 'msg_9', sessionID, type: 'text', text: 'theirs' };
    expect(stepsOf([['message.updated', { sessionID, info: other }], updated(part)])).toEqual([]);
  });

  it('continues the steps under a prompt that continues the turn, without the text of a summary', () => {
    const user = (id: string): readonly [string, object] => [
      'message.updated',
      { sessionID, info: { id, sessionID, role: 'user', time: { created: 2 } } },
    ];
    const answer = (id: string, parentID: string, more: object = {}): readonly [string, object] => [
      'message.updated',
      { sessionID, info: { ...info, id, parentID, ...more } },
    ];
    const text = (messageID: string): readonly [string, object] =>
      updated({ id: `prt_${messageID}`, messageID, sessionID, type: 'text', text: messageID });
    const said = stepsOf([
      user('msg_1'),
      answer('msg_2', 'msg_1'),
      text('msg_2'),
      user('msg_3'),
      updated({ id: 'prt_3', messageID: 'msg_3', sessionID, type: 'compaction', auto: true }),
      answer('msg_4', 'msg_3', { summary: true }),
      text('msg_4'),
      user('msg_5'),
      updated({
        id: 'prt_5',
        messageID: 'msg_5',
        sessionID,
        type: 'text',
        text: 'Continue',
        synthetic: true,
      }),
      answer('msg_6', 'msg_5'),
      text('msg_6'),
    ]);
    expect(said).toMatchObject([
      { type: 'message', messageID: 'msg_2' },
      { type: 'text', delta: 'msg_2' },
      { type: 'message', messageID: 'msg_6' },
      { type: 'text', delta: 'msg_6' },
    ]);
  });
});
