import { describe, expect, it } from 'vitest';
import {
  JarvisOpenCode,
  jarvisSnapshotSchema,
  SessionNotBoundError,
  type JarvisSnapshot,
} from 'jarvis-opencode';
import { fakeHandle } from '../../support/server-handle.js';

const binding = { jarvisSessionID: 'chat-1', sessionID: 'ses_1', directory: '/srv/a' };
const other = { jarvisSessionID: 'chat-2', sessionID: 'ses_2', directory: '/srv/b' };

function restored(restore: unknown): JarvisOpenCode {
  return new JarvisOpenCode(fakeHandle(), { restore: restore as JarvisSnapshot });
}

describe('a snapshot', () => {
  it('restores a snapshot from JSON and binds the same sessions again', async () => {
    await using jarvis = restored({ version: 1, bindings: [binding, other] });
    const stored: unknown = JSON.parse(JSON.stringify(jarvis.snapshot()));
    expect(jarvisSnapshotSchema.parse(stored)).toEqual({ version: 1, bindings: [binding, other] });
    await using again = restored(stored);
    expect(again.sessions.list()).toEqual([binding, other]);
    const session = again.forSession('chat-2');
    expect([session.id, session.directory]).toEqual(['ses_2', '/srv/b']);
  });

  it('makes an empty snapshot where nothing is bound', async () => {
    await using jarvis = new JarvisOpenCode(fakeHandle());
    expect(jarvis.snapshot()).toEqual({ version: 1, bindings: [] });
    expect(() => jarvis.forSession('chat-1')).toThrow(SessionNotBoundError);
  });

  it.each([
    ['nothing', null],
    ['text', '{}'],
    ['no version', { bindings: [] }],
    ['no bindings', { version: 1 }],
    ['a binding without a session', { version: 1, bindings: [{ ...binding, sessionID: '' }] }],
    ['a relative directory', { version: 1, bindings: [{ ...binding, directory: 'srv/a' }] }],
    ['a directory that is not normal', { version: 1, bindings: [{ ...binding, directory: '/srv/../a' }] }],
    ['unknown fields', { version: 1, bindings: [], secrets: [] }],
    [
      'one jarvis session twice',
      { version: 1, bindings: [binding, { ...other, jarvisSessionID: 'chat-1' }] },
    ],
    ['one session twice', { version: 1, bindings: [binding, { ...other, sessionID: 'ses_1' }] }],
  ])('refuses a snapshot when it is %s', (_what, damaged) => {
    expect(() => restored(damaged)).toThrow(TypeError);
    expect(() => restored(damaged)).toThrow(/^Expected .*snapshot.* got /);
  });

  const long = 'x'.repeat(1_000_000);
  it.each([
    ['an endless key', { version: 1, bindings: [], [long]: 1 }],
    ['an endless key in a binding', { version: 1, bindings: [{ ...binding, [long]: 1 }] }],
    [
      'an endless session twice',
      { version: 1, bindings: [1, 2].map((n) => ({ ...binding, jarvisSessionID: `${n}`, sessionID: long })) },
    ],
    [
      'a hundred thousand wrong bindings',
      { version: 1, bindings: Array.from({ length: 100_000 }, () => ({})) },
    ],
    [
      'nested without end',
      JSON.parse(`{"version":1,"bindings":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    ],
  ])('refuses a snapshot with a short message when it has %s', (_what, damaged: unknown) => {
    let message = '';
    try {
      restored(damaged);
    } catch (error) {
      message = (error as TypeError).message;
    }
    expect(message).toMatch(/^Expected .*snapshot.* got /);
    expect(message.length).toBeLessThan(800);
  });

  it('names the binding of a snapshot that is wrong', () => {
    const damaged = { version: 1, bindings: [binding, { ...other, directory: 7 }] };
    expect(() => restored(damaged)).toThrow(/bindings\.1\.directory: .*expected string/);
  });

  it('refuses a snapshot of a newer version by its version', () => {
    expect(() => restored({ version: 2, bindings: {} })).toThrow(RangeError);
    expect(() => restored({ version: 2, bindings: {} })).toThrow(/version 1, got 2/);
  });
});
