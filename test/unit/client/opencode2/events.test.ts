import type { OpenCodeEvent } from 'jarvis-opencode';
import { beforeEach, describe, expect, it } from 'vitest';
import { EventTranslator } from '../../../../src/client/opencode2/events.js';
import { DialectMemory } from '../../../../src/client/opencode2/memory.js';

let memory: DialectMemory;
let translator: EventTranslator;
beforeEach(() => {
  memory = new DialectMemory();
  translator = new EventTranslator(memory);
});

function feed(type: string, data: object, directory?: string): OpenCodeEvent[] {
  const location = directory === undefined ? {} : { location: { directory } };
  const frame = JSON.stringify({ id: 'evt_1', type, created: 7, ...location, data });
  return [...translator.decode(frame)].flatMap((each) => (each.kind === 'event' ? [each.event] : []));
}

const created = { sessionID: 'ses_1', projectID: 'p', location: { directory: '/r' } };
const prompt = { inboxID: 'msg_1', item: { type: 'user', payload: { text: 'Hi' }, delivery: 'steer' } };
const step = { sessionID: 'ses_1', assistantMessageID: 'msg_2' };

describe('the events of OpenCode 2', () => {
  it('belong to the directory of their session, also when they do not name one', () => {
    feed('session.created', created, '/r');
    const events = feed('session.execution.started', { sessionID: 'ses_1' });
    expect(events.map(({ type, directory }) => [type, directory])).toEqual([
      ['session.execution.started', '/r'],
      ['session.status', '/r'],
    ]);
  });

  it('tell of a prompt and of the step that answers it as OpenCode 1 does', () => {
    feed('session.created', created, '/r');
    feed('session.inbox.enqueued', { sessionID: 'ses_1', ...prompt }, '/r');
    const delivered = feed('session.inbox.delivered', { sessionID: 'ses_1', inboxID: 'msg_1' }, '/r');
    expect(delivered.map(({ type }) => type)).toEqual([
      'session.inbox.delivered',
      'message.updated',
      'message.part.updated',
    ]);
    const model = { id: 'm', providerID: 'p' };
    const [, begun] = feed('session.step.started', { ...step, agent: 'build', model, started: 8 }, '/r');
    expect(begun).toMatchObject({
      properties: { info: { id: 'msg_2', parentID: 'msg_1', time: { created: 8 } } },
    });
    feed('session.text.started', { ...step, ordinal: 0 }, '/r');
    const [, delta] = feed('session.text.delta', { ...step, ordinal: 0, delta: 'He' }, '/r');
    const [, whole] = feed('session.text.ended', { ...step, ordinal: 0, text: 'Hello' }, '/r');
    expect(delta).toMatchObject({
      type: 'message.part.delta',
      properties: { delta: 'He', partID: 'prt_2_text_0' },
    });
    expect(whole).toMatchObject({
      properties: { part: { id: 'prt_2_text_0', type: 'text', text: 'Hello' } },
    });
    const tokens = { input: 1, output: 1, reasoning: 0, cache: { read: 0, write: 0 } };
    const ended = feed('session.step.ended', { ...step, finish: 'stop', cost: 1, tokens }, '/r');
    expect(ended.map(({ type }) => type)).toEqual([
      'session.step.ended',
      'message.part.updated',
      'message.updated',
    ]);
    expect(ended.at(-1)).toMatchObject({ properties: { info: { finish: 'stop', time: { completed: 7 } } } });
  });

  it('end a session with its error, then as idle', () => {
    feed('session.created', created, '/r');
    const error = { type: 'provider.internal', message: 'no', status: 500 };
    const events = feed('session.execution.failed', { sessionID: 'ses_1', error });
    expect(events.map(({ type }) => type)).toEqual([
      'session.execution.failed',
      'session.error',
      'session.status',
      'session.idle',
    ]);
  });

  it('ask as OpenCode 1 does, a form by one question for each of its fields', () => {
    feed('session.created', created, '/r');
    const form = {
      id: 'frm_1',
      sessionID: 'ses_1',
      metadata: { kind: 'question', tool: { messageID: 'msg_2', id: 'call_1' } },
      fields: [
        {
          key: 'q0',
          title: 'Colour',
          description: 'Which?',
          type: 'multiselect',
          options: [{ value: 'r', label: 'red' }],
        },
        { key: 'q1', title: 'Sure', type: 'boolean' },
      ],
    };
    const [, asked] = feed('form.created', { form }, '/r');
    expect(asked).toMatchObject({
      type: 'question.asked',
      directory: '/r',
      properties: {
        id: 'frm_1',
        questions: [
          { question: 'Which?', header: 'Colour', multiple: true, options: [{ label: 'red' }] },
          { question: 'Sure', options: [{ label: 'yes' }, { label: 'no' }] },
        ],
        tool: { messageID: 'msg_2', callID: 'call_1' },
      },
    });
    const [, replied] = feed(
      'form.replied',
      { id: 'frm_1', sessionID: 'ses_1', answer: { q0: ['r'], q1: true } },
      '/r',
    );
    expect(replied).toMatchObject({ type: 'question.replied', properties: { answers: [['r'], ['true']] } });
  });

  it('tell of the end of an instance under the name that it has in OpenCode 1, once', () => {
    expect(feed('location.shutdown', {}, '/r')).toEqual([
      { directory: '/r', id: 'evt_1', type: 'server.instance.disposed', properties: { directory: '/r' } },
    ]);
  });

  it('arrive as they are when nobody knows them, also without data', () => {
    expect(feed('of.tomorrow', { a: 1 }, '/r')).toEqual([
      { directory: '/r', id: 'evt_1', type: 'of.tomorrow', properties: { a: 1 } },
    ]);
    const [decoded] = translator.decode('{"id":"evt_2","type":"of.tomorrow"}');
    expect(decoded).toMatchObject({ kind: 'event', event: { properties: {} } });
  });

  it.each(['no JSON', '7', '[]', '{"data":{}}'])('are skipped when they are malformed: %s', (frame) => {
    expect([...translator.decode(frame)].map(({ kind }) => kind)).toEqual(['malformed']);
  });

  it.each([
    ['permission.asked', { id: 'per_1', sessionID: 'ses_1' }],
    ['form.created', {}],
    ['session.inbox.enqueued', { sessionID: 'ses_1', inboxID: 'msg_1' }],
    ['session.execution.failed', { sessionID: 'ses_1' }],
  ])('are not translated when their data are of an unknown shape: %s', (type, data) => {
    const decoded = [...translator.decode(JSON.stringify({ id: 'evt_1', type, data }))];
    expect(decoded.at(-1)).toEqual({ kind: 'malformed', reason: `${type} of an unknown shape` });
    const passed = decoded.flatMap((each) => (each.kind === 'event' ? [each.event.type] : []));
    expect(passed).toEqual(type === 'permission.asked' ? [] : [type]);
  });

  it('take back what a session asked when its execution ends', () => {
    feed('session.created', created, '/r');
    feed('permission.asked', { id: 'per_1', sessionID: 'ses_1', action: 'shell', resources: ['ls'] }, '/r');
    const events = feed('session.execution.interrupted', { sessionID: 'ses_1', reason: 'user' });
    expect(events.map(({ type }) => type)).toContain('permission.replied');
    const again = feed('session.execution.interrupted', { sessionID: 'ses_1', reason: 'user' });
    expect(again.map(({ type }) => type)).not.toContain('permission.replied');
  });

  it('follow a step whose begin was missed', () => {
    feed('session.created', created, '/r');
    memory.prompts.set('ses_1', 'msg_1');
    const [, called] = feed(
      'session.tool.called',
      { ...step, id: 'call_1', name: 'shell', input: { a: 1 } },
      '/r',
    );
    expect(called).toMatchObject({ properties: { part: { type: 'tool', state: { status: 'running' } } } });
    const ended = feed('session.step.ended', { ...step, finish: 'stop' }, '/r');
    expect(ended.at(-1)).toMatchObject({ properties: { info: { parentID: 'msg_1', finish: 'stop' } } });
  });
});
