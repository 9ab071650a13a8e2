import { describe, expect, it } from 'vitest';
import {
  partsOf,
  toAssistantMessage,
  toServerError,
  toUserMessage,
} from '../../../../src/client/opencode2/messages.js';
import type { StepContent, StepEntry } from '../../../../src/client/opencode2/wire.js';

const session = { id: 'ses_1', directory: '/r' };
const tokens = { input: 1, output: 2, reasoning: 0, cache: { read: 0, write: 0 } };

function step(content: StepContent[], more: Partial<StepEntry> = {}): StepEntry {
  return {
    id: 'msg_2',
    type: 'assistant',
    time: { created: 1, completed: 3 },
    agent: 'build',
    model: { id: 'm', providerID: 'p' },
    content,
    finish: 'stop',
    cost: 0.5,
    tokens,
    ...more,
  };
}

function call(state: Extract<StepContent, { type: 'tool' }>['state']): StepContent {
  return { type: 'tool', id: 'call_1', name: 'shell', state, time: { created: 1, ran: 2, completed: 3 } };
}

describe('a step of OpenCode 2', () => {
  it('becomes a message that answers the prompt before it', () => {
    const { info, parts } = toAssistantMessage(session, step([{ type: 'text', text: 'Hi.' }]), 'msg_1');
    expect(info).toMatchObject({
      role: 'assistant',
      parentID: 'msg_1',
      providerID: 'p',
      modelID: 'm',
      finish: 'stop',
      cost: 0.5,
      time: { created: 1, completed: 3 },
    });
    expect(parts.map(({ type }) => type)).toEqual(['text', 'step-finish']);
  });

  it('numbers its texts and its thoughts apart, as the events do', () => {
    const parts = partsOf(
      'ses_1',
      step([
        { type: 'reasoning', text: 'Hm.' },
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ]),
    );
    expect(parts.map(({ id }) => id.replace('prt_2_', ''))).toEqual([
      'reasoning_0',
      'text_0',
      'text_1',
      'finish_0',
    ]);
  });

  it.each([
    [{ status: 'streaming', input: '{"a"' } as const, { status: 'pending', raw: '{"a"' }],
    [{ status: 'running', input: { a: 1 } } as const, { status: 'running', input: { a: 1 } }],
    [
      {
        status: 'completed',
        input: {},
        content: [
          { type: 'text', text: 'one' },
          { type: 'text', text: ' two' },
        ],
      } as const,
      { status: 'completed', output: 'one two' },
    ],
    [
      { status: 'error', input: {}, error: { type: 'tool.execution', message: 'no' } } as const,
      { status: 'error', error: 'no' },
    ],
  ])('has a tool call %j in the state of OpenCode 1', (state, expected) => {
    const [part] = partsOf('ses_1', step([call(state)]));
    expect(part).toMatchObject({ type: 'tool', tool: 'shell', callID: 'call_1', state: expected });
  });

  it('leaves out content of a kind that it does not know', () => {
    const parts = partsOf('ses_1', step([{ type: 'later' } as unknown as StepContent]));
    expect(parts.map(({ type }) => type)).toEqual(['step-finish']);
  });

  it('is no error when the user refused its tool call without a word', () => {
    const error = { type: 'aborted', message: 'Step interrupted' };
    const refused = { type: 'aborted', message: 'The user declined this tool call' };
    const content = [call({ status: 'error', input: {}, error: refused })];
    const { info } = toAssistantMessage(session, step(content, { error, finish: 'error' }), 'msg_1');
    expect(info).toMatchObject({ finish: 'tool-calls' });
    expect(info).not.toHaveProperty('error');
    const cut = toAssistantMessage(session, step([], { error, finish: 'error' }), 'msg_1');
    expect(cut.info).toMatchObject({ error: { name: 'MessageAbortedError' } });
  });
});

describe('toServerError()', () => {
  it.each([
    ['provider.rate-limit', 429, 'APIError', true],
    ['provider.internal', 503, 'APIError', true],
    ['provider.invalid-request', 400, 'APIError', false],
  ])('makes an error of the provider of %s', (type, status, name, isRetryable) => {
    const error = toServerError({ type, message: 'no', status });
    expect(error).toMatchObject({ name, data: { message: 'no', statusCode: status, isRetryable } });
  });

  it('keeps the type of any other error in its message', () => {
    expect(toServerError({ type: 'unknown', message: 'Agent not found: "x"' })).toEqual({
      name: 'UnknownError',
      data: { message: 'unknown: Agent not found: "x"' },
    });
  });
});

describe('a prompt of OpenCode 2', () => {
  it('has its text, its files and the agents that it mentions as parts', () => {
    const { info, parts } = toUserMessage('ses_1', {
      id: 'msg_1',
      type: 'user',
      time: { created: 1 },
      text: 'Look',
      files: [
        { data: 'aGk=', mime: 'text/plain', source: { type: 'inline' }, name: 'a.txt' },
        { data: '', mime: 'text/plain', source: { type: 'uri', uri: 'file:///r/b.txt' } },
      ],
      agents: [{ name: 'plan' }],
    });
    expect(info).toMatchObject({ id: 'msg_1', role: 'user' });
    expect(parts).toMatchObject([
      { type: 'text', text: 'Look' },
      { type: 'file', url: 'data:text/plain;base64,aGk=', filename: 'a.txt' },
      { type: 'file', url: 'file:///r/b.txt' },
      { type: 'agent', name: 'plan' },
    ]);
  });
});
