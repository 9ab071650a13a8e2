import { describe, expect, it } from 'vitest';
import type { OpenCodeEvent } from 'jarvis-opencode';
import { HubListeners, type HubListener } from '../../../../src/client/events/hub-listeners.js';

const APP = '/srv/app';

function listener(own: Partial<HubListener> = {}): HubListener {
  return { event: () => undefined, lost: () => undefined, ...own };
}

function setUp() {
  const listeners = new HubListeners();
  const [all, app, other] = [listener(), listener(), listener()];
  listeners.add(undefined, all);
  listeners.add('/srv/other', other);
  return { listeners, all, app, other, remove: listeners.add(APP, app) };
}

describe('HubListeners', () => {
  it('gives the listeners to all directories and to the directory of an event', () => {
    const { listeners, all, app } = setUp();
    expect([...listeners.of(APP)]).toEqual([all, app]);
    expect([...listeners.of('/srv/third')]).toEqual([all]);
    expect([...listeners.of(undefined)]).toEqual([all]);
  });

  it('gives a listener to several directories once', () => {
    const { listeners, all, app, other } = setUp();
    listeners.add('/srv/third', app);
    expect(listeners.all()).toEqual([all, other, app]);
  });

  it('forgets a directory with its last listener', () => {
    const { listeners, remove } = setUp();
    remove();
    remove();
    expect([...listeners.byDirectory()].map(([directory]) => directory)).toEqual(['/srv/other']);
    expect(listeners.size).toBe(2);
  });

  it('needs an event when one of its listeners does, by default of every type', () => {
    const listeners = new HubListeners();
    expect(listeners.isNeeded('session.idle', APP)).toBe(false);
    listeners.add(undefined, listener({ wants: () => false }));
    listeners.add(APP, listener({ wants: (type) => type === 'session.idle' }));
    expect(listeners.isNeeded('session.idle', APP)).toBe(true);
    expect(listeners.isNeeded('session.idle', undefined)).toBe(false);
    expect(listeners.isNeeded('todo.updated', APP)).toBe(false);
    listeners.add(APP, listener());
    expect(listeners.isNeeded('todo.updated', APP)).toBe(true);
  });

  it('has a reader when a listener of the directory says so', () => {
    const event: OpenCodeEvent = {
      directory: APP,
      id: '',
      type: 'session.idle',
      properties: { sessionID: 'ses_1' },
    };
    const { listeners } = setUp();
    expect(listeners.hasReader(event)).toBe(false);
    listeners.add(APP, listener({ reads: ({ type }) => type === 'session.idle' }));
    expect(listeners.hasReader(event)).toBe(true);
    expect(listeners.hasReader({ ...event, directory: '/srv/other' })).toBe(false);
  });

  it('returns the listeners that it removes when it is cleared', () => {
    const { listeners, all, app, other } = setUp();
    expect(listeners.clear()).toEqual([all, other, app]);
    expect(listeners.size).toBe(0);
    expect([...listeners.of(APP)]).toEqual([]);
  });
});
