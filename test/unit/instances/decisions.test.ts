import { describe, expect, it } from 'vitest';
import { DisposeRefusedError, type InstanceDecision, type Logger } from 'jarvis-opencode';
import { Decisions } from '../../../src/instances/decisions.js';

function setUp(): { decisions: Decisions; logged: [string, string][]; published: InstanceDecision[] } {
  const logged: [string, string][] = [];
  const log =
    (level: string) =>
    (message: string): void =>
      void logged.push([level, message]);
  const logger: Logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
  const published: InstanceDecision[] = [];
  const publish = (decision: InstanceDecision): void => void published.push(decision);
  return { decisions: new Decisions({ logger, publish, now: () => 31_000 }), logged, published };
}

describe('decisions', () => {
  it('logs and publishes a decision with the same text', () => {
    const { decisions, logged, published } = setUp();
    const error = new Error('no config');
    decisions.loaded('/a');
    decisions.broken('/a', error);
    decisions.disposed('/a', 'idle');
    decisions.goneWithServer('/a', 'external');
    decisions.notDisposed('/a', 'cap', error);
    expect(logged).toEqual([
      ['debug', 'instance loaded'],
      ['warn', 'instance not loaded: no config'],
      ['info', 'instance disposed: idle'],
      ['info', 'instance gone with its server: external'],
      ['warn', 'instance not disposed: Error: no config'],
    ]);
    expect(published.map(({ text }) => `instance ${text}`)).toEqual(logged.map(([, message]) => message));
    expect(published.map(({ decision, reason }) => [decision, reason])).toEqual([
      ['loaded', undefined],
      ['broken', undefined],
      ['disposed', 'idle'],
      ['disposed', 'external'],
      ['failed', 'cap'],
    ]);
  });

  it('names in a decision what kept an instance', () => {
    const { decisions, logged, published } = setUp();
    const holds = [{ kind: 'turn', detail: 'ses_1', since: 0 }] as const;
    decisions.notDisposed('/a', 'idle', new DisposeRefusedError('/a', holds));
    expect(logged).toEqual([['debug', 'instance kept: turn ses_1 for 31 s']]);
    expect(published).toMatchObject([{ decision: 'kept', reason: 'idle', holds }]);
  });
});
