import { describe, expect, it } from 'vitest';
import type { OpenCodeEvent } from 'jarvis-opencode';
import {
  activityChangeOf,
  instanceErrorOf,
  isActivityEvent,
  isPluginError,
} from '../../../../src/client/instances/events.js';

const event = (type: string, properties: object): OpenCodeEvent =>
  ({ directory: '/a', id: 'evt_1', type, properties }) as unknown as OpenCodeEvent;

describe('the activity of an event', () => {
  it.each([
    ['session.status', { sessionID: 'ses_1', status: { type: 'busy' } }, 'begin', 'session-busy', 'ses_1'],
    ['session.status', { sessionID: 'ses_1', status: { type: 'retry' } }, 'begin', 'session-busy', 'ses_1'],
    ['session.status', { sessionID: 'ses_1', status: { type: 'idle' } }, 'end', 'session-busy', 'ses_1'],
    ['session.idle', { sessionID: 'ses_1' }, 'end', 'session-busy', 'ses_1'],
    ['session.deleted', { sessionID: 'ses_1', info: {} }, 'end', 'session-busy', 'ses_1'],
    ['permission.asked', { id: 'per_1', sessionID: 'ses_1' }, 'begin', 'permission', 'per_1'],
    ['permission.replied', { requestID: 'per_1', sessionID: 'ses_1' }, 'end', 'permission', 'per_1'],
    ['question.asked', { id: 'que_1', sessionID: 'ses_1' }, 'begin', 'question', 'que_1'],
    ['question.replied', { requestID: 'que_1', sessionID: 'ses_1' }, 'end', 'question', 'que_1'],
    ['question.rejected', { requestID: 'que_1', sessionID: 'ses_1' }, 'end', 'question', 'que_1'],
    ['pty.created', { info: { id: 'pty_1' } }, 'begin', 'pty', 'pty_1'],
    ['pty.exited', { id: 'pty_1', exitCode: 0 }, 'end', 'pty', 'pty_1'],
    ['pty.deleted', { id: 'pty_1' }, 'end', 'pty', 'pty_1'],
  ])('reads from %s %j that it is the %s of a %s', (type, properties, effect, kind, id) => {
    const change = activityChangeOf(event(type, properties));
    expect(change).toMatchObject(effect === 'begin' ? { effect, kind, item: { id } } : { effect, kind, id });
    expect(isActivityEvent(type)).toBe(true);
  });

  it('names the session that asks', () => {
    expect(activityChangeOf(event('question.asked', { id: 'que_1', sessionID: 'ses_1' }))).toEqual({
      effect: 'begin',
      kind: 'question',
      item: { id: 'que_1', sessionID: 'ses_1' },
    });
  });

  it.each(['session.created', 'message.updated', 'message.removed', 'todo.updated', 'command.executed'])(
    'takes %s as a use of the instance',
    (type) => {
      expect(activityChangeOf(event(type, {}))).toEqual({ effect: 'use' });
      expect(isActivityEvent(type)).toBe(true);
    },
  );

  it.each(['message.part.updated', 'file.watcher.updated', 'lsp.updated', 'toString'])(
    'reads no activity from %s',
    (type) => {
      expect(activityChangeOf(event(type, {}))).toBeUndefined();
      expect(isActivityEvent(type)).toBe(false);
    },
  );

  it('throws when an activity begins without an id', () => {
    expect(() => activityChangeOf(event('pty.created', { info: {} }))).toThrow(
      new TypeError('Expected an id, got undefined.'),
    );
  });
});

describe('the error of an instance', () => {
  it('reads the error of an instance from an error without a session, cut to 500 characters', () => {
    const message = `Failed to load plugin ${'x'.repeat(1_000)}`;
    expect(instanceErrorOf({ error: { name: 'UnknownError', data: { message } } as never })).toBe(
      message.slice(0, 500),
    );
    expect(instanceErrorOf({ error: { name: 'UnknownError', data: {} } as never })).toBe('UnknownError');
    expect(instanceErrorOf({})).toBe('unknown error');
  });

  it('reads no error of an instance from the error of a session', () => {
    expect(instanceErrorOf({ sessionID: 'ses_1' })).toBeUndefined();
  });

  it('reads the error of a plugin when the event names one', () => {
    expect(['Failed to load plugin x', 'no such file'].map(isPluginError)).toEqual([true, false]);
  });
});
