import { describe, expect, it } from 'vitest';
import { SessionAlreadyBoundError, SessionDirectoryError } from 'jarvis-opencode';
import {
  SessionRegistry,
  sessionMapOf,
  type LocateSessions,
  type SessionMap,
} from '../../../src/registry/session-registry.js';

const one = { id: 'ses_1', directory: '/a' };
const two = { id: 'ses_2', directory: '/b' };

describe('the session map', () => {
  it('binds sessions one to one, and accepts the same pair again', () => {
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

  it('reserves an id against everybody else until it is bound or released', () => {
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

  it('knows the directory of bound and of seen sessions, and forgets both with a deleted session', () => {
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

  it('attributes child sessions of any depth to their root', () => {
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

describe('reconcile()', () => {
  const three = { id: 'ses_3', directory: '/c' };

  function bound(locate: LocateSessions): SessionMap {
    const sessions = new SessionRegistry();
    for (const [index, session] of [one, two, three].entries()) sessions.bind(`chat-${index + 1}`, session);
    return sessionMapOf(sessions, locate);
  }

  it('reports which sessions are kept, gone and moved, unbinds those that are gone, and refuses those that moved', async () => {
    const places = new Map([
      ['ses_1', '/a'],
      ['ses_3', '/elsewhere'],
    ]);
    const sessions = bound(() => Promise.resolve(places));
    const result = await sessions.reconcile();
    expect(result.kept.map((binding) => binding.sessionID)).toEqual(['ses_1']);
    expect(result.gone.map((binding) => binding.sessionID)).toEqual(['ses_2']);
    expect(result.moved).toEqual([
      { jarvisSessionID: 'chat-3', sessionID: 'ses_3', directory: '/c', foundDirectory: '/elsewhere' },
    ]);
    expect(sessions.get('chat-2')).toBeUndefined();
    expect(sessions.get('chat-3')).toBeDefined();
    expect(sessions.directoryOf('ses_3')).toBe('/elsewhere');
  });

  it('changes no binding when reconcile() cannot ask the server', async () => {
    const failure = new Error('nobody answers');
    const sessions = bound(() => Promise.reject(failure));
    await expect(sessions.reconcile()).rejects.toBe(failure);
    expect(sessions.list()).toHaveLength(3);
  });

  it('leaves a session alone whose binding changed while reconcile() asked', async () => {
    const sessions = bound(() => {
      sessions.unbind('chat-1');
      return Promise.resolve(new Map());
    });
    const { gone } = await sessions.reconcile();
    expect(gone.map((binding) => binding.sessionID)).toEqual(['ses_2', 'ses_3']);
  });

  it('passes the signal and the time limit of reconcile() on', async () => {
    const { signal } = new AbortController();
    let seen: unknown;
    const sessions = bound((_bindings, options) => {
      seen = options;
      return Promise.resolve(new Map());
    });
    await sessions.reconcile({ signal, timeoutMs: 5 });
    expect(seen).toEqual({ signal, timeoutMs: 5 });
  });

  it('keeps a bounded amount of what a server answers to reconcile() at endless length', () => {
    const sessions = new SessionRegistry();
    const directory = `/${'x'.repeat(1024 * 1024)}`;
    for (let n = 0; n < 50; n += 1) sessions.learn({ id: `ses_${n}`, directory });
    expect([sessions.directoryOf('ses_0'), sessions.directoryOf('ses_49')]).toEqual([undefined, directory]);
    sessions.learn({ id: 'ses_long', directory: directory.repeat(40) });
    expect(sessions.directoryOf('ses_long')).toBeUndefined();
  });

  it('ends reconcile() when the server says that sessions are parents of each other', () => {
    const sessions = new SessionRegistry();
    sessions.learn({ id: 'ses_1', directory: '/a', parentID: 'ses_2' });
    sessions.learn({ id: 'ses_2', directory: '/a', parentID: 'ses_1' });
    sessions.learn({ id: 'ses_3', directory: '/a', parentID: 'ses_3' });
    expect(sessions.isWithin('ses_1', 'ses_2')).toBe(true);
    expect(sessions.isWithin('ses_1', 'ses_3')).toBe(false);
    expect(sessions.isBound('ses_3')).toBe(false);
    expect(sessions.firstUnknownAncestor('ses_1')).toBeUndefined();
  });
});
