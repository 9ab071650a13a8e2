import { describe, expect, it } from 'vitest';
import type { RemoteAsk, RemoteTurnStep } from 'jarvis-opencode';
import { StepLog } from '../../../../../src/client/turns/steps/step-log.js';

type Step = RemoteTurnStep;

const text = (delta: string, partID = 'prt_1'): Step => ({ type: 'text', delta, messageID: 'msg_1', partID });
const reasoning = (delta: string): Step => ({
  type: 'reasoning',
  delta,
  messageID: 'msg_1',
  partID: 'prt_1',
});
const tool = (status: 'running' | 'completed', output?: string, callID = 'call_1'): Step => ({
  type: 'tool',
  sessionID: 'ses_1',
  tool: 'bash',
  callID,
  status,
  input: {},
  output,
});
const message: Step = { type: 'message', messageID: 'msg_1' };

async function collect(steps: AsyncIterable<Step>): Promise<Step[]> {
  const all: Step[] = [];
  for await (const step of steps) all.push(step);
  return all;
}

/** What a reader gets that comes when everything is over. */
async function late(...steps: readonly Step[]): Promise<Step[]> {
  const log = new StepLog<RemoteAsk>();
  for (const step of steps) log.push(step);
  log.end({});
  return collect(log.read());
}

describe('StepLog', () => {
  it('joins the deltas of one part', async () => {
    expect(await late(text('one '), text('two '), text('three'))).toEqual([text('one two three')]);
  });

  it('keeps the deltas of two parts apart', async () => {
    const steps = [text('one'), text('two', 'prt_2'), text('three')];
    expect(await late(...steps)).toEqual(steps);
  });

  it('keeps text and reasoning apart', async () => {
    const steps = [reasoning('hm'), text('ok')];
    expect(await late(...steps)).toEqual(steps);
  });

  it('keeps the newest of several steps of a tool in one state', async () => {
    expect(await late(tool('running', 'a'), tool('running', 'ab'))).toEqual([tool('running', 'ab')]);
  });

  it('keeps every state of a tool and every call', async () => {
    const steps = [tool('running'), tool('completed'), tool('completed', undefined, 'call_2')];
    expect(await late(...steps)).toEqual(steps);
  });

  it('keeps steps of other types in their order', async () => {
    const steps = [message, text('one'), message, text('two')];
    expect(await late(...steps)).toEqual(steps);
  });

  it('gives a reader that is up to date only the rest of a text that grows', async () => {
    const log = new StepLog<RemoteAsk>();
    const reader = log.read();
    log.push(text('one '));
    expect((await reader.next()).value).toEqual(text('one '));
    const next = reader.next();
    log.push(text('two '));
    expect((await next).value).toEqual(text('two '));
    log.push(text('three'));
    log.push(message);
    expect((await reader.next()).value).toEqual(text('three'));
    expect((await reader.next()).value).toEqual(message);
    log.end({});
    expect((await reader.next()).done).toBe(true);
  });

  it('gives each of several readers everything, also one that begins later', async () => {
    const log = new StepLog<RemoteAsk>();
    const first = collect(log.read());
    log.push(message);
    log.push(text('one'));
    const second = collect(log.read());
    log.push(tool('completed'));
    log.end({});
    const all = [message, text('one'), tool('completed')];
    expect(await first).toEqual(all);
    expect(await second).toEqual(all);
    expect(await collect(log.read())).toEqual(all);
  });

  it('throws the error of the end after the last step, to every reader', async () => {
    const log = new StepLog<RemoteAsk>();
    const error = new Error('the end');
    log.push(message);
    log.end({ error });
    for (let reader = 0; reader < 2; reader += 1) {
      const steps = log.read();
      expect((await steps.next()).value).toEqual(message);
      await expect(steps.next()).rejects.toBe(error);
    }
  });

  it('ends a reader by its signal while it waits, and no other reader', async () => {
    const log = new StepLog<RemoteAsk>();
    const gone = new AbortController();
    const ended = collect(log.read(gone.signal));
    const other = collect(log.read());
    gone.abort();
    expect(await ended).toEqual([]);
    log.push(message);
    log.end({});
    expect(await other).toEqual([message]);
  });

  it('drops the oldest steps beyond 64 Mi characters, and says so to a late reader', async () => {
    const log = new StepLog<RemoteAsk>();
    const megabyte = 'x'.repeat(1024 * 1024);
    for (let index = 0; index < 70; index += 1) log.push(text(megabyte));
    log.end({});
    const [first, ...rest] = await collect(log.read());
    expect(first).toEqual({ type: 'dropped', count: 70 - rest.length });
    expect(rest.length).toBeGreaterThanOrEqual(60);
    expect(rest.length).toBeLessThan(65);
    expect(new Set(rest.map((step) => step.type))).toEqual(new Set(['text']));
  });

  const large = (callID: string): Step => tool('completed', 'x'.repeat(40 * 1024 * 1024), callID);

  it('says nothing of dropped steps to a reader that got them', async () => {
    const log = new StepLog<RemoteAsk>();
    const reader = log.read();
    for (const step of [large('call_1'), large('call_2'), large('call_3')]) {
      log.push(step);
      expect((await reader.next()).value).toBe(step);
    }
  });

  it('tells a reader of a dropped text of which it had only the beginning', async () => {
    const log = new StepLog<RemoteAsk>();
    const reader = log.read();
    log.push(text('one '));
    await reader.next();
    log.push(text('two'));
    for (const step of [large('call_1'), large('call_2')]) log.push(step);
    expect((await reader.next()).value).toEqual({ type: 'dropped', count: 2 });
    expect((await reader.next()).value).toMatchObject({ callID: 'call_2' });
  });

  it('tells a reader of the steps too that were dropped while it had a step of type dropped', async () => {
    const log = new StepLog<RemoteAsk>();
    const reader = log.read();
    for (const step of [large('call_1'), large('call_2'), large('call_3')]) log.push(step);
    expect((await reader.next()).value).toEqual({ type: 'dropped', count: 2 });
    log.push(large('call_4'));
    expect((await reader.next()).value).toEqual({ type: 'dropped', count: 1 });
    expect((await reader.next()).value).toMatchObject({ callID: 'call_4' });
  });
});
