import { describe, expectTypeOf, it } from 'vitest';
import {
  JarvisOpenCode,
  type OpenCode2Client,
  type OpenCode2Repo,
  type OpenCode2Session,
  type RepoClient,
  type Session,
} from 'jarvis-opencode';
import { JarvisOpenCode as BrowserJarvisOpenCode } from '../../src/browser.js';
import type { MissingOnOpenCode2 } from '../support/opencode2-missing.js';

declare const jarvis: OpenCode2Client<JarvisOpenCode>;
const experimental = { opencode2: true };

/** `noun.method` for each method of `Full`, and of its nouns, that `T` lacks. */
type Missing<T, Full, Prefix extends string> = {
  [K in keyof Full & string]: Full[K] extends (...args: never[]) => unknown
    ? [K extends keyof T ? T[K] : never] extends [never]
      ? `${Prefix}.${K}`
      : never
    : Full[K] extends object
      ? Full[K] extends readonly unknown[] | string
        ? never
        : Missing<K extends keyof T ? T[K] : never, Full[K], `${Prefix}.${K}`>
      : never;
}[keyof Full & string];

describe('a client that takes only OpenCode 2', () => {
  it('is what start(), connect() and shared() give for that option', () => {
    expectTypeOf(JarvisOpenCode.start({ opencode: '2', experimental })).resolves.toEqualTypeOf(jarvis);
    expectTypeOf(JarvisOpenCode.connect({ url: '', opencode: '2', experimental })).resolves.toEqualTypeOf(
      jarvis,
    );
    expectTypeOf(JarvisOpenCode.shared('main', { opencode: '2', experimental })).resolves.toEqualTypeOf(
      jarvis,
    );
    expectTypeOf(
      BrowserJarvisOpenCode.connect({ url: '', opencode: '2', experimental }),
    ).resolves.toEqualTypeOf<OpenCode2Client<BrowserJarvisOpenCode>>();
  });

  it('is not what any other option gives', () => {
    expectTypeOf(
      JarvisOpenCode.start({ opencode: 'auto', experimental }),
    ).resolves.toEqualTypeOf<JarvisOpenCode>();
    expectTypeOf(JarvisOpenCode.start({ opencode: '1' })).resolves.toEqualTypeOf<JarvisOpenCode>();
    expectTypeOf(JarvisOpenCode.start()).resolves.toEqualTypeOf<JarvisOpenCode>();
    expectTypeOf(JarvisOpenCode.connect({ url: '' })).resolves.toEqualTypeOf<JarvisOpenCode>();
  });

  it('can be given to code that takes any client, repository or session', () => {
    expectTypeOf(jarvis).toExtend<JarvisOpenCode>();
    expectTypeOf<OpenCode2Repo>().toExtend<RepoClient>();
    expectTypeOf<OpenCode2Session>().toExtend<Session>();
  });

  it('gives repositories and sessions of its kind everywhere', () => {
    const repo = jarvis.forRepo('/any');
    expectTypeOf(repo).toEqualTypeOf<OpenCode2Repo>();
    expectTypeOf(jarvis.forSession('chat')).toEqualTypeOf<OpenCode2Session>();
    expectTypeOf(repo.sessions.create({ title: 't' })).resolves.toEqualTypeOf<OpenCode2Session>();
    expectTypeOf(repo.sessions.open('chat')).resolves.toEqualTypeOf<OpenCode2Session>();
    expectTypeOf(repo.sessions.list()).resolves.toEqualTypeOf<OpenCode2Session[]>();
    expectTypeOf(repo.worktrees.forWorktree('/any')).toEqualTypeOf<OpenCode2Repo>();
    expectTypeOf(jarvis.forSession('chat').fork()).resolves.toEqualTypeOf<OpenCode2Session>();
    expectTypeOf(
      repo.use((used) => {
        expectTypeOf(used).toEqualTypeOf<OpenCode2Repo>();
        return 1;
      }),
    ).resolves.toEqualTypeOf<number>();
    expectTypeOf(
      jarvis.map(['/any'], (used) => {
        expectTypeOf(used).toEqualTypeOf<OpenCode2Repo>();
        return 'done';
      }),
    ).resolves.toExtend<{ directory: string }[]>();
  });

  it('does not compile a call of what OpenCode 2 has not', () => {
    const repo = jarvis.forRepo('/any');
    const session = jarvis.forSession('chat');
    // @ts-expect-error OpenCode 2 has no to-dos.
    void (() => session.todos());
    // @ts-expect-error OpenCode 2 has no text search.
    void (() => repo.find.text({ pattern: 'a' }));
    // @ts-expect-error OpenCode 2 has no such configuration.
    void (() => repo.config.get());
    void (() => repo.config.providers());
    void (() => session.prompt('hello'));
  });

  it('lacks exactly the methods that were found to have no operation of OpenCode 2', () => {
    expectTypeOf<
      | Missing<OpenCode2Client<JarvisOpenCode>, JarvisOpenCode, 'jarvis'>
      | Missing<OpenCode2Repo, RepoClient, 'repo'>
      | Missing<OpenCode2Session, Session, 'session'>
    >().toEqualTypeOf<MissingOnOpenCode2>();
  });
});
