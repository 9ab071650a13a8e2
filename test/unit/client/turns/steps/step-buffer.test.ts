import { describe, expect, it } from 'vitest';
import type { TurnStep } from 'jarvis-opencode';
import { StepBuffer } from '../../../../../src/client/turns/steps/step-buffer.js';

const text = (delta: string, partID = 'prt_1'): TurnStep => ({
  type: 'text',
  delta,
  messageID: 'msg_1',
  partID,
});
const reasoning = (delta: string): TurnStep => ({
  type: 'reasoning',
  delta,
  messageID: 'msg_1',
  partID: 'prt_1',
});
const tool = (status: 'running' | 'completed', output?: string, callID = 'call_1'): TurnStep => ({
  type: 'tool',
  sessionID: 'ses_1',
  tool: 'bash',
  callID,
  status,
  input: {},
  output,
});
const message: TurnStep = { type: 'message', messageID: 'msg_1' };

function read(steps: readonly TurnStep[]): TurnStep[] {
  const buffer = new StepBuffer();
  for (const step of steps) buffer.push(step);
  return [
    ...(function* () {
      for (let step = buffer.take(); step !== undefined; step = buffer.take()) yield step;
    })(),
  ];
}

describe('StepBuffer', () => {
  it('joins the deltas of one part', () => {
    expect(read([text('one '), text('two '), text('three')])).toEqual([text('one two three')]);
  });

  it('keeps the deltas of two parts apart', () => {
    const steps = [text('one'), text('two', 'prt_2'), text('three')];
    expect(read(steps)).toEqual(steps);
  });

  it('keeps text and reasoning apart', () => {
    const steps = [reasoning('hm'), text('ok')];
    expect(read(steps)).toEqual(steps);
  });

  it('keeps the newest of several steps of a tool in one state', () => {
    expect(read([tool('running', 'a'), tool('running', 'ab')])).toEqual([tool('running', 'ab')]);
  });

  it('keeps every state of a tool and every call', () => {
    const steps = [tool('running'), tool('completed'), tool('completed', undefined, 'call_2')];
    expect(read(steps)).toEqual(steps);
  });

  it('keeps steps of other types in their order', () => {
    const steps = [message, text('one'), message, text('two')];
    expect(read(steps)).toEqual(steps);
  });

  it('does not join a delta with what was taken', () => {
    const buffer = new StepBuffer();
    buffer.push(text('one'));
    expect(buffer.take()).toEqual(text('one'));
    buffer.push(text('two'));
    expect(buffer.take()).toEqual(text('two'));
    expect(buffer.take()).toBeUndefined();
  });

  it('wakes everybody who waits, at a step and on request', async () => {
    const buffer = new StepBuffer();
    const both = [buffer.next(), buffer.next()];
    buffer.push(message);
    await Promise.all(both);
    const next = buffer.next();
    buffer.wake();
    await next;
  });
});
