import { describe, expect, it } from 'vitest';
import { SessionAlreadyBoundError, SessionDirectoryError } from 'jarvis-opencode';
import { SessionRegistry } from '../../../src/registry/sessions.js';

const one = { id: 'ses_1', directory: '/a' };
const two = { id: 'ses_2', directory: '/b' };

describe('the session map', () => {
  it('binds one to one, and the same pair again without a word', () => {
    const sessions = new SessionRegistry();
    sessions.bind('chat-1', one);
    sessions.bind('chat-1', one);
    expect(sessions.get('chat-1')).toEqual({
      jarvisSessionID: 'chat-1',
      sessionID: 'ses_1',
      directory: '/a',
    });
    expect(() => sessions.bind('chat-1', two)).toThrow(SessionAlreadyBoundError);
    expect(() => sessions.bind('chat-2', one)).toThrow(SessionAlreadyBoundError);
    expect(sessions.list()).toHaveLength(1);
    expect(sessions.unbind('chat-1')).toBe(true);
    expect(sessions.unbind('chat-1')).toBe(false);
    expect(sessions.get('chat-1')).toBeUndefined();
    sessions.bind('chat-2', one);
    expect(sessions.list().map((binding) => binding.jarvisSessionID)).toEqual(['chat-2']);
  });

  it('refuses to bind a session to another directory than its own', () => {
    const sessions = new SessionRegistry();
    sessions.learn(one);
    expect(() => sessions.bind('chat-1', { id: 'ses_1', directory: '/b' })).toThrow(SessionDirectoryError);
    expect(sessions.list()).toEqual([]);
  });

  it.each(['', undefined, 42])('refuses the jarvis session id %o', (id) => {
    expect(() => new SessionRegistry().bind(id as string, one)).toThrow(TypeError);
  });

  it('keeps a reserved id from everybody else until it is bound or released', () => {
    const sessions = new SessionRegistry();
    const reservation = sessions.reserve('chat-1', '/a');
    expect(() => sessions.reserve('chat-1', '/b')).toThrow(SessionAlreadyBoundError);
    expect(() => sessions.bind('chat-1', two)).toThrow(SessionAlreadyBoundError);
    reservation.bind(one);
    reservation.release();
    expect(sessions.get('chat-1')?.sessionID).toBe('ses_1');
    sessions.reserve('chat-2', '/a').release();
    sessions.bind('chat-2', two);
  });

  it('knows the directory of bound and of seen sessions, and forgets both with a deleted one', () => {
    const sessions = new SessionRegistry();
    sessions.learn(one);
    sessions.bind('chat-2', two);
    expect([sessions.directoryOf('ses_1'), sessions.directoryOf('ses_2')]).toEqual(['/a', '/b']);
    expect(sessions.directoryOf('ses_3')).toBeUndefined();
    sessions.forget('ses_1');
    sessions.forget('ses_2');
    expect([sessions.directoryOf('ses_1'), sessions.directoryOf('ses_2')]).toEqual([undefined, undefined]);
    expect(sessions.get('chat-2')).toBeUndefined();
  });

  it('attributes children of any depth to their root', () => {
    const sessions = new SessionRegistry();
    sessions.learn(one);
    sessions.learn({ id: 'ses_child', directory: '/a', parentID: 'ses_1' });
    sessions.learn({ id: 'ses_grandchild', directory: '/a', parentID: 'ses_child' });
    expect(sessions.isWithin('ses_1', 'ses_1')).toBe(true);
    expect(sessions.isWithin('ses_grandchild', 'ses_1')).toBe(true);
    expect(sessions.isWithin('ses_1', 'ses_child')).toBe(false);
    expect(sessions.isWithin('ses_unknown', 'ses_1')).toBe(false);
  });
});
