import { describe, expect, it } from 'vitest';
import type { OpenCodeEvent } from 'jarvis-opencode';
import { gapEvent } from '../../../../../src/client/events/event-stream.js';
import { RecordedTurn } from '../../../../../src/client/turns/result/recorded-turn.js';

const sessionID = 'ses_1';
const tokens = { input: 1, output: 1, reasoning: 0, cache: { read: 0, write: 0 } };
const prompt = { id: 'msg_1', sessionID, role: 'user', time: { created: 10 } };
const begun = {
  id: 'msg_2',
  sessionID,
  role: 'assistant',
  parentID: 'msg_1',
  cost: 0,
  tokens,
  time: { created: 11 },
};
const complete = { ...begun, finish: 'stop', time: { created: 11, completed: 12 } };
const promptText = { id: 'prt_1', messageID: 'msg_1', type: 'text', text: 'Hello' };
const whole = { id: 'prt_3', messageID: 'msg_2', type: 'text', text: 'Hi there' };
const stepStart = { id: 'prt_2', messageID: 'msg_2', type: 'step-start' };
const stepFinish = { id: 'prt_4', messageID: 'msg_2', type: 'step-finish', reason: 'stop', cost: 0, tokens };

const event = (type: string, properties: object): OpenCodeEvent =>
  ({ directory: '/a', id: '', type, properties: { sessionID, ...properties } }) as unknown as OpenCodeEvent;
const message = (info: object): OpenCodeEvent => event('message.updated', { info });
const part = (some: object): OpenCodeEvent => event('message.part.updated', { part: { sessionID, ...some } });
const delta = (partID: string): OpenCodeEvent =>
  event('message.part.delta', { messageID: 'msg_2', partID, field: 'text', delta: 'Hi' });

const PLAIN: readonly OpenCodeEvent[] = [
  message(prompt),
  part(promptText),
  message(begun),
  message(prompt),
  part(stepStart),
  part({ ...whole, text: '' }),
  delta('prt_3'),
  part(whole),
  part(stepFinish),
  message(complete),
];

/** The text of the answer that these events make; `undefined` when it is to be read from the server. */
function answerOf(events: readonly OpenCodeEvent[], size = 100): string | undefined {
  const record = new RecordedTurn({ sessionID, messageID: 'msg_1' });
  for (const each of events) record.onEvent(each, size);
  const evidence = record.finalAnswer();
  return evidence?.kind === 'answered' ? evidence.result.text : undefined;
}

/** The plain turn with more events after the `index`th. */
function withEvents(index: number, ...more: OpenCodeEvent[]): readonly OpenCodeEvent[] {
  return PLAIN.toSpliced(index, 0, ...more);
}

describe('a recorded turn', () => {
  it('gives the answer of a turn of which it has seen everything', () => {
    expect(answerOf(PLAIN)).toBe('Hi there');
  });

  it('lists messages and parts as the server does, whatever came first', () => {
    const record = new RecordedTurn({ sessionID, messageID: 'msg_1' });
    for (const each of withEvents(6, part({ ...whole, id: 'prt_20', text: 'Oh. ' }))) record.onEvent(each, 1);
    expect(record.finalAnswer()).toMatchObject({ result: { text: 'Oh. Hi there' } });
  });

  it.each(
    PLAIN.map(({ type }, index) => ({ type, index })).filter(({ index }) => ![3, 4, 6].includes(index)),
  )('gives no answer when event $index, a $type, is missing', ({ index }) => {
    // Without the empty text and without the whole one there is nothing to show that a piece is missing.
    const events = PLAIN.toSpliced(index, 1);
    expect(answerOf(events)).toBeUndefined();
  });

  const later = { id: 'msg_9', sessionID, role: 'user', time: { created: 11 } };
  it.each<[what: string, event: OpenCodeEvent]>([
    ['a gap', gapEvent('reconnect', 0, [])],
    ['the disposal of the instance', event('server.instance.disposed', {})],
    ['an error of the session', event('session.error', { error: { name: 'UnknownError', data: {} } })],
    ['the deletion of the session', event('session.deleted', {})],
    ['a compaction', event('session.compacted', {})],
    ['another try of the provider', event('session.status', { status: { type: 'retry', attempt: 1 } })],
    ['the removal of a message', event('message.removed', { messageID: 'msg_2' })],
    ['the removal of a part', event('message.part.removed', { messageID: 'msg_2', partID: 'prt_3' })],
    ['the prompt of another client', message(later)],
    ['an answer to that', message({ ...begun, id: 'msg_8', parentID: 'msg_9' })],
    ['a summary', message({ ...begun, id: 'msg_8', summary: true })],
    ['an answer with an error', message({ ...begun, id: 'msg_8', error: { name: 'APIError', data: {} } })],
    ['an answer that is not complete', message({ ...begun, id: 'msg_8' })],
    [
      'a tool that runs',
      part({ id: 'prt_5', messageID: 'msg_2', type: 'tool', state: { status: 'running' } }),
    ],
    ['a piece of a text that has not begun', delta('prt_5')],
    ['a part of an unknown shape', part({ id: 'prt_5', messageID: 'msg_2', type: 'text' })],
  ])('gives no answer after %s', (_what, spoiler) => {
    expect(answerOf(withEvents(PLAIN.length, spoiler))).toBeUndefined();
    expect(answerOf([...PLAIN, spoiler, ...PLAIN])).toBeUndefined();
  });

  it('gives no answer between a piece of a text and the whole text', () => {
    expect(answerOf([...PLAIN, delta('prt_3')])).toBeUndefined();
    expect(answerOf([...PLAIN, delta('prt_3'), part({ ...whole, text: 'Hi there, you' })])).toBe(
      'Hi there, you',
    );
  });

  it('takes no notice of what the server still tells of the turn before, and of other sessions', () => {
    const before = { id: 'msg_0', sessionID, role: 'user', time: { created: 5 }, summary: { diffs: [] } };
    const answer = { ...complete, id: 'msg_00', parentID: 'msg_0', time: { created: 6, completed: 7 } };
    const other = event('session.error', { sessionID: 'ses_2' });
    for (const index of [0, 2, 5]) {
      expect(answerOf(withEvents(index, message(before), message(answer), other))).toBe('Hi there');
    }
  });

  it('gives no answer to more than a mebibyte of events, and counts the newest state of each part', () => {
    expect(answerOf(PLAIN, 2 ** 19)).toBeUndefined();
    const again = Array.from({ length: 100 }, () => part(whole));
    expect(answerOf(withEvents(PLAIN.length, ...again), 2 ** 17)).toBe('Hi there');
  });
});
