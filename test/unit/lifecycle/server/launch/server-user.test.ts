import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServerStartError } from '../../../../../src/errors.js';
import {
  assertServerUser,
  parseServerUser,
  prepareUser,
  userVariables,
  type ParsedServerUser,
} from '../../../../../src/lifecycle/server/launch/server-user.js';
import { hasOtherUser, OTHER_USER as OTHER } from '../../../../support/other-user.js';

describe('the user of a server', () => {
  it.each([
    [{ uid: 1 }, 'user.gid'],
    [{ uid: -1, gid: 1 }, 'user.uid'],
    [{ uid: 1, gid: 1.5 }, 'user.gid'],
    [{ uid: 2 ** 32 - 1, gid: 1 }, 'user.uid'],
    [{ uid: 1, gid: 1, home: 'home' }, 'user.home'],
    [{ uid: 1, gid: 1, name: 'me' }, "Unknown option 'name' of user"],
    ['me', 'Expected user to be an object'],
  ])('refuses the user %j', (user, message) => {
    expect(() => assertServerUser('user', user)).toThrow(message);
  });

  it('needs a dataDir, and a system with such users', () => {
    const user = { uid: 1, gid: 1 };
    expect(() => parseServerUser(user, undefined, 'linux')).toThrow(
      new TypeError(
        'Expected dataDir to be given with user: that user cannot write to the directories of this one.',
      ),
    );
    expect(() => parseServerUser(user, '/data', 'win32')).toThrow(TypeError);
    expect(parseServerUser(undefined, undefined, 'win32')).toBeUndefined();
  });

  it('names the user to programs, by its id where the system has no name', () => {
    const { home, ...of } = parseServerUser({ uid: OTHER, gid: OTHER }, '/data', 'linux') as ParsedServerUser;
    expect(userVariables({ home, ...of })).toEqual({
      HOME: '/data/home',
      USER: '54321',
      LOGNAME: '54321',
      TMPDIR: '/data/tmp',
    });
    expect(userVariables({ ...of, home: '/root', uid: 0 })).toMatchObject({ HOME: '/root', USER: 'root' });
  });
});

describe.runIf(hasOtherUser())(
  'the directories of another user (skipped unless root, with a temporary directory open to others)',
  () => {
    let base: string;

    beforeEach(() => {
      base = realpathSync(mkdtempSync(join(tmpdir(), 'jarvis-user-')));
      chmodSync(base, 0o711);
    });

    afterEach(() => rmSync(base, { recursive: true }));

    /** Prepares a start; `cwd` and `program` are what everybody may use. */
    function prepare({
      dataDir = join(base, 'data'),
      home = join(dataDir, 'home'),
      cwd = '/',
      program = '/bin/sh',
    }): void {
      const directories = [join(dataDir, 'cache')];
      prepareUser({ uid: OTHER, gid: OTHER, dataDir, home }, { cwd, program, directories });
    }

    it('makes them for that user alone, and what is above for all to pass', () => {
      prepare({ dataDir: join(base, 'new/data') });
      for (const path of ['new/data', 'new/data/home', 'new/data/cache']) {
        const { uid, gid, mode } = statSync(join(base, path));
        expect([path, uid, gid, mode & 0o777]).toEqual([path, OTHER, OTHER, 0o700]);
      }
      expect(statSync(join(base, 'new'))).toMatchObject({ uid: 0 });
      expect(statSync(join(base, 'new')).mode & 0o777).toBe(0o711);
      prepare({ dataDir: join(base, 'new/data') });
    });

    it('takes an empty directory and one of that user, and no other', () => {
      mkdirSync(join(base, 'empty'));
      mkdirSync(join(base, 'own'));
      writeFileSync(join(base, 'own/file'), '');
      chownSync(join(base, 'own'), OTHER, OTHER);
      prepare({ dataDir: join(base, 'empty'), home: join(base, 'own') });
      expect(statSync(join(base, 'empty')).uid).toBe(OTHER);
      mkdirSync(join(base, 'full/file'), { recursive: true });
      expect(() => prepare({ dataDir: join(base, 'full') })).toThrow(ServerStartError);
      expect(() => prepare({ dataDir: join(base, 'full') })).toThrow(/full" .* it belongs to user 0\b/);
      expect(statSync(join(base, 'full')).uid).toBe(0);
    });

    it('names a directory that the user cannot reach, a cwd it may not enter, and a program it may not execute', () => {
      mkdirSync(join(base, 'closed'), { mode: 0o700 });
      const closed = join(base, 'closed/data');
      expect(() => prepare({ dataDir: closed })).toThrow(
        `User 54321 cannot make or write to "${closed}/home"`,
      );
      expect(() => prepare({ cwd: join(base, 'closed') })).toThrow(
        `may not enter the cwd "${join(base, 'closed')}"`,
      );
      writeFileSync(join(base, 'program'), '', { mode: 0o700 });
      expect(() => prepare({ program: join(base, 'program') })).toThrow(
        `may not execute "${join(base, 'program')}"`,
      );
    });
  },
);
