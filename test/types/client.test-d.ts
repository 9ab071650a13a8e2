import { describe, expectTypeOf, it } from 'vitest';
import type {
  GlobalResource,
  PermissionsResource,
  QuestionsResource,
  SessionsResource,
} from 'jarvis-opencode';
import {
  JarvisOpenCode,
  type AskOutcome,
  type BindableSession,
  type CloseOptions,
  type ConnectOptions,
  type DisposeResult,
  type EventStream,
  type FetchFunction,
  type FileDiff,
  type Health,
  type Hold,
  type IdlePolicy,
  type JarvisOptions,
  type Message,
  type Paged,
  type MapResult,
  type PathInfo,
  type PermissionAsk,
  type PermissionPolicy,
  type QuestionAsk,
  type RepoClient,
  type RepoOverview,
  type RepoStats,
  type RequestOptions,
  type ServerExit,
  type ServerHandle,
  type ServerState,
  type Session,
  type SessionBinding,
  type SessionInfo,
  type SessionMap,
  type SessionStatus,
  type SharedOptions,
  type SignalPolicy,
  type StartOptions,
  type StopOptions,
  type StoredMessage,
  type Todo,
  type Turn,
  type TurnLimits,
  type TurnOptions,
  type UseCounts,
} from 'jarvis-opencode';
import { JarvisOpenCode as BrowserJarvisOpenCode } from '../../src/browser.js';

declare const jarvis: JarvisOpenCode;
declare const repo: RepoClient;
declare const session: Session;
declare const handle: ServerHandle;

/** The keys of `T` that can be assigned to. */
type Mutable<T> = {
  [K in keyof T]-?: (<U>() => U extends { [P in K]: T[P] } ? 1 : 2) extends <U>() => U extends {
    -readonly [P in K]: T[P];
  }
    ? 1
    : 2
    ? K
    : never;
}[keyof T];

describe('JarvisOpenCode', () => {
  it('is what its ways to make one return', () => {
    expectTypeOf(JarvisOpenCode.start()).resolves.toEqualTypeOf<JarvisOpenCode>();
    expectTypeOf(JarvisOpenCode.connect({ url: '' })).resolves.toEqualTypeOf<JarvisOpenCode>();
    expectTypeOf(new JarvisOpenCode(handle)).toEqualTypeOf<JarvisOpenCode>();
    expectTypeOf(JarvisOpenCode).constructorParameters.toEqualTypeOf<
      [server: ServerHandle, options?: JarvisOptions]
    >();
  });

  it('starts with no option at all, and connects with a url', () => {
    expectTypeOf<Parameters<typeof JarvisOpenCode.start>>().toEqualTypeOf<[options?: StartOptions]>();
    expectTypeOf<Parameters<typeof JarvisOpenCode.shared>>().toEqualTypeOf<
      [key: string, options?: SharedOptions]
    >();
    expectTypeOf(JarvisOpenCode.shared('main')).resolves.toEqualTypeOf<JarvisOpenCode>();
    // @ts-expect-error a signal would end the start of all
    void JarvisOpenCode.shared('main', { signal: new AbortController().signal });
    expectTypeOf<StartOptions>().toExtend<JarvisOptions>();
    expectTypeOf<ConnectOptions>().toExtend<JarvisOptions>();
    expectTypeOf<ConnectOptions['url']>().toEqualTypeOf<string | URL>();
    // @ts-expect-error there is nowhere to connect to
    void JarvisOpenCode.connect();
    // @ts-expect-error nor here
    void JarvisOpenCode.connect({ password: 'secret' });
  });

  it('of a subclass connects to that', () => {
    class Mine extends JarvisOpenCode {
      readonly mine = true;
    }
    expectTypeOf(Mine.connect({ url: '' })).resolves.toEqualTypeOf<Mine>();
  });

  it('can be closed in every way', () => {
    expectTypeOf(jarvis).toExtend<AsyncDisposable>();
    expectTypeOf(jarvis.close).parameters.toEqualTypeOf<[options?: CloseOptions]>();
    expectTypeOf<CloseOptions>().toExtend<StopOptions>();
    expectTypeOf(jarvis.drained({ signal: new AbortController().signal })).resolves.toBeVoid();
    expectTypeOf<StartOptions['onSignal']>().toEqualTypeOf<SignalPolicy | undefined>();
    expectTypeOf(jarvis.close).returns.toEqualTypeOf<Promise<void>>();
  });

  it('gives clients, sessions and what is known without waiting', () => {
    expectTypeOf(jarvis.forRepo).toEqualTypeOf<(directory: string) => RepoClient>();
    expectTypeOf(jarvis.forSession).toEqualTypeOf<(jarvisSessionID: string) => Session>();
    expectTypeOf(jarvis.repos).returns.toEqualTypeOf<RepoOverview[]>();
    expectTypeOf(jarvis.server).toEqualTypeOf<ServerHandle>();
    expectTypeOf(jarvis.sessions).toEqualTypeOf<SessionMap>();
    expectTypeOf(jarvis.global).toEqualTypeOf<GlobalResource>();
    expectTypeOf(jarvis.global.health()).resolves.toEqualTypeOf<Health>();
  });

  it('maps directories to settled results', () => {
    const results = jarvis.map(['/a'], async (used, directory, index, { signal }) => {
      expectTypeOf(used).toEqualTypeOf<RepoClient>();
      expectTypeOf(directory).toEqualTypeOf<string>();
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      return index;
    });
    expectTypeOf(results).resolves.toEqualTypeOf<MapResult<number>[]>();
    expectTypeOf<Extract<MapResult<number>, { status: 'fulfilled' }>['value']>().toEqualTypeOf<number>();
    expectTypeOf<Extract<MapResult<number>, { status: 'rejected' }>['reason']>().toEqualTypeOf<unknown>();
    void jarvis.map(new Set(['/a']), () => 'x', {
      onProgress: ({ result }) => expectTypeOf(result).toEqualTypeOf<MapResult<string>>(),
    });
  });

  it('has no members that can be replaced', () => {
    expectTypeOf<Mutable<Pick<JarvisOpenCode, 'server' | 'sessions' | 'global'>>>().toEqualTypeOf<never>();
  });

  it('has no start() for a browser', () => {
    expectTypeOf(BrowserJarvisOpenCode).not.toHaveProperty('start');
    expectTypeOf(BrowserJarvisOpenCode.connect({ url: '' })).resolves.toEqualTypeOf<BrowserJarvisOpenCode>();
    expectTypeOf(jarvis).toExtend<BrowserJarvisOpenCode>();
  });
});

describe('RepoClient', () => {
  it('has one resource per noun', () => {
    expectTypeOf(repo.sessions).toEqualTypeOf<SessionsResource>();
    expectTypeOf(repo.permissions).toEqualTypeOf<PermissionsResource>();
    expectTypeOf(repo.questions).toEqualTypeOf<QuestionsResource>();
    expectTypeOf(repo.directory).toEqualTypeOf<string>();
    expectTypeOf<
      Mutable<Pick<RepoClient, 'directory' | 'sessions' | 'permissions' | 'questions'>>
    >().toEqualTypeOf<never>();
  });

  it('returns sessions, not wire objects', () => {
    expectTypeOf(repo.sessions.create()).resolves.toEqualTypeOf<Session>();
    expectTypeOf(
      repo.sessions.create({ title: 'a' }, { jarvisSessionID: 'b' }),
    ).resolves.toEqualTypeOf<Session>();
    expectTypeOf(repo.sessions.list()).resolves.toEqualTypeOf<Session[]>();
    expectTypeOf(repo.sessions.get('ses_1')).resolves.toEqualTypeOf<Session>();
    expectTypeOf(repo.sessions.session('ses_1')).toEqualTypeOf<Session>();
    expectTypeOf(repo.sessions.status()).resolves.toEqualTypeOf<Record<string, SessionStatus>>();
  });

  it('loads, keeps and gives back its instance', () => {
    expectTypeOf(repo.warm()).resolves.toBeVoid();
    expectTypeOf(repo.reload({ force: true, timeoutMs: 1 })).resolves.toBeVoid();
    expectTypeOf(repo.hold('a tab')).toEqualTypeOf<Disposable>();
    expectTypeOf(repo.dispose()).resolves.toEqualTypeOf<DisposeResult>();
    expectTypeOf(
      repo.use(async (used, { signal }) => [used, signal] as const, { priority: 1, timeoutMs: false }),
    ).resolves.toEqualTypeOf<readonly [RepoClient, AbortSignal]>();
    expectTypeOf(repo.use(() => 1)).resolves.toEqualTypeOf<number>();
    expectTypeOf<RepoStats['uses']>().toEqualTypeOf<UseCounts>();
    expectTypeOf(repo.stats()).toEqualTypeOf<RepoStats>();
    expectTypeOf(repo.path()).resolves.toEqualTypeOf<PathInfo>();
    expectTypeOf<RepoStats['holds']>().toEqualTypeOf<readonly Hold[]>();
    expectTypeOf<RepoStats['state']>().toEqualTypeOf<'unloaded' | 'idle' | 'busy' | 'disposing' | 'broken'>();
    expectTypeOf<RepoStats['error']>().toEqualTypeOf<Error | undefined>();
    expectTypeOf<RepoStats['pluginErrors']>().toEqualTypeOf<readonly string[]>();
    expectTypeOf<RepoStats['idleDeadline']>().toEqualTypeOf<number | undefined>();
  });
});

describe('Session', () => {
  it('is told apart by ids and knows what it was last seen as', () => {
    expectTypeOf(session.id).toEqualTypeOf<string>();
    expectTypeOf(session.directory).toEqualTypeOf<string>();
    expectTypeOf(session.info).toEqualTypeOf<SessionInfo | undefined>();
    expectTypeOf<Mutable<Pick<Session, 'id' | 'directory' | 'info'>>>().toEqualTypeOf<never>();
    expectTypeOf(session).toExtend<BindableSession>();
  });

  it('takes text or a whole prompt', () => {
    void session.prompt('text');
    void session.prompt({ parts: [{ type: 'text', text: 'a' }], agent: 'plan', tools: { bash: false } });
    // @ts-expect-error a prompt has parts
    void session.prompt({ text: 'a' });
    // @ts-expect-error nobody knows such a part
    void session.prompt({ parts: [{ type: 'video', url: 'a' }] });
    // @ts-expect-error a misspelt option is no option
    void session.prompt('text', { timeout: 5 });
    expectTypeOf(session.stream('text')).toEqualTypeOf<Turn>();
  });

  it('reads messages', () => {
    expectTypeOf(session.messages()).toEqualTypeOf<Paged<StoredMessage>>();
    expectTypeOf<Awaited<Paged<Message>>>().toEqualTypeOf<Message[]>();
    expectTypeOf<Paged<Message>>().toExtend<AsyncIterable<Message>>();
    expectTypeOf(session.message('msg_1')).resolves.toEqualTypeOf<StoredMessage>();
    expectTypeOf(session.addContext('text')).resolves.toEqualTypeOf<Message>();
    expectTypeOf(session.deleteMessage('msg_1')).resolves.toBeVoid();
  });

  it('changes and ends', () => {
    expectTypeOf(session.refresh()).resolves.toEqualTypeOf<SessionInfo>();
    expectTypeOf(session.update({ title: 'a' })).resolves.toEqualTypeOf<SessionInfo>();
    expectTypeOf(session.unrevert()).resolves.toEqualTypeOf<SessionInfo>();
    expectTypeOf(session.abort()).resolves.toBeVoid();
    expectTypeOf(session.delete()).resolves.toBeVoid();
  });

  it('returns sessions, not wire objects, for those that come of it', () => {
    expectTypeOf(session.children()).resolves.toEqualTypeOf<Session[]>();
    expectTypeOf(session.fork()).resolves.toEqualTypeOf<Session>();
    expectTypeOf(session.todos()).resolves.toEqualTypeOf<Todo[]>();
    expectTypeOf(session.diff()).resolves.toEqualTypeOf<FileDiff[]>();
  });

  it('has events of its own, for which the session cannot be chosen', () => {
    expectTypeOf(session.events()).toEqualTypeOf<EventStream>();
    // @ts-expect-error it is this one
    session.events({ sessionID: 'ses_2' });
  });
});

describe('policies', () => {
  it('are a decision, a function, or one with limits', () => {
    repo.permissions.policy = 'allow';
    repo.permissions.policy = { deny: 'not here' };
    repo.permissions.policy = async ({ patterns }, { signal, directory }) => {
      expectTypeOf(patterns).toEqualTypeOf<string[]>();
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      expectTypeOf(directory).toEqualTypeOf<string>();
      return Promise.resolve('ask');
    };
    session.questionPolicy = { decide: () => ({ answers: [['red']] }), timeoutMs: false, otherwise: 'stop' };
    void session.prompt('a', {
      onPermission: 'always',
      onQuestion: ({ questions }) => ({ deny: questions[0]?.header ?? '' }),
    });
    // @ts-expect-error nobody can allow a question
    repo.questions.policy = 'allow';
    // @ts-expect-error a permission has no answers
    session.permissionPolicy = { answers: [['red']] };
    // @ts-expect-error a misspelt decision is none
    void session.prompt('a', { onPermission: () => 'alow' });
    expectTypeOf<JarvisOptions['policyScope']>().toEqualTypeOf<'own' | 'all' | undefined>();
    expectTypeOf(session.permissionPolicy).toEqualTypeOf<PermissionPolicy | undefined>();
  });

  it('are of asks that can be answered by hand', () => {
    expectTypeOf(repo.permissions.pending()).resolves.toEqualTypeOf<PermissionAsk[]>();
    expectTypeOf(repo.questions.pending()).resolves.toEqualTypeOf<QuestionAsk[]>();
    expectTypeOf(repo.permissions.reply('per_1', { reply: 'once' })).resolves.toEqualTypeOf<AskOutcome>();
    expectTypeOf(repo.questions.reject('que_1')).resolves.toEqualTypeOf<AskOutcome>();
    expectTypeOf<Mutable<Pick<PermissionAsk, 'type' | 'request' | 'directory'>>>().toEqualTypeOf<never>();
    expectTypeOf<Mutable<Pick<QuestionAsk, 'type' | 'request' | 'directory'>>>().toEqualTypeOf<never>();
  });
});

describe('options', () => {
  it('can be made of constants, and every one may be undefined', () => {
    const options = {
      signal: undefined,
      timeoutMs: undefined,
      headers: undefined,
      retry: undefined,
    } as const satisfies RequestOptions;
    void repo.warm(options);
    void JarvisOpenCode.start({
      command: undefined,
      args: ['--print-logs'] as const,
      cwd: undefined,
      env: { HOME: undefined, PATH: '/bin' } as const,
      config: { mcp: {} } as const,
      hostname: undefined,
      port: undefined,
      password: undefined,
      startTimeoutMs: undefined,
      signal: undefined,
      idle: undefined,
      turns: undefined,
      logger: undefined,
      fetch: undefined,
      clock: undefined,
      paths: undefined,
      permissions: undefined,
      questions: undefined,
      policyScope: undefined,
    });
  });

  it('are readonly', () => {
    expectTypeOf<Mutable<StartOptions>>().toEqualTypeOf<never>();
    expectTypeOf<Mutable<ConnectOptions>>().toEqualTypeOf<never>();
    expectTypeOf<Mutable<JarvisOptions>>().toEqualTypeOf<never>();
    expectTypeOf<Mutable<RequestOptions>>().toEqualTypeOf<never>();
    expectTypeOf<Mutable<TurnOptions>>().toEqualTypeOf<never>();
    expectTypeOf<Mutable<TurnLimits>>().toEqualTypeOf<never>();
    expectTypeOf<Mutable<IdlePolicy>>().toEqualTypeOf<never>();
    expectTypeOf<Mutable<StopOptions>>().toEqualTypeOf<never>();
    // The helper itself: it does find what can be assigned to.
    expectTypeOf<Mutable<{ readonly a: 1; b: 2; c?: 3 }>>().toEqualTypeOf<'b' | 'c'>();
  });

  it('switch a feature off with false', () => {
    expectTypeOf<JarvisOptions['idle']>().toEqualTypeOf<IdlePolicy | false | undefined>();
    expectTypeOf<RequestOptions['timeoutMs']>().toEqualTypeOf<number | false | undefined>();
    expectTypeOf<RequestOptions['retry']>().toEqualTypeOf<number | false | undefined>();
    expectTypeOf<TurnOptions['timeoutMs']>().toEqualTypeOf<number | false | undefined>();
    expectTypeOf<JarvisOptions['paths']>().toEqualTypeOf<'local' | 'remote' | undefined>();
    expectTypeOf<FetchFunction>().toEqualTypeOf<typeof globalThis.fetch>();
  });

  it('of a turn have no retry: a prompt is sent once', () => {
    expectTypeOf<TurnOptions>().not.toHaveProperty('retry');
    expectTypeOf<TurnOptions>().toHaveProperty('priority');
  });
});

describe('ServerHandle', () => {
  it('tells where the server is and how it is', () => {
    expectTypeOf(handle.url).toEqualTypeOf<string>();
    expectTypeOf(handle.version).toEqualTypeOf<string>();
    expectTypeOf(handle.pid).toEqualTypeOf<number | undefined>();
    expectTypeOf(handle.state).toEqualTypeOf<ServerState>();
    expectTypeOf(handle.closed).toEqualTypeOf<Promise<ServerExit>>();
    expectTypeOf(handle).toExtend<AsyncDisposable>();
    expectTypeOf<
      Mutable<Pick<ServerHandle, 'url' | 'version' | 'pid' | 'state' | 'closed' | 'authorization'>>
    >().toEqualTypeOf<never>();
  });

  it('has listeners of the type of what they are told', () => {
    handle.on('state', (state) => expectTypeOf(state).toEqualTypeOf<ServerState>());
    handle.on('log', (line) => expectTypeOf(line).toEqualTypeOf<string>());
    expectTypeOf(handle.on('log', () => undefined)).toEqualTypeOf<() => void>();
    // @ts-expect-error nobody ever emits this
    handle.on('exit', () => undefined);
  });
});

describe('SessionMap', () => {
  it('binds ids to sessions', () => {
    expectTypeOf(jarvis.sessions.get('chat-1')).toEqualTypeOf<SessionBinding | undefined>();
    expectTypeOf(jarvis.sessions.list()).toEqualTypeOf<SessionBinding[]>();
    expectTypeOf(jarvis.sessions.directoryOf('ses_1')).toEqualTypeOf<string | undefined>();
    expectTypeOf(jarvis.sessions.unbind('chat-1')).toEqualTypeOf<boolean>();
    expectTypeOf(jarvis.sessions.bind('chat-1', session)).toBeVoid();
    expectTypeOf<Mutable<SessionBinding>>().toEqualTypeOf<never>();
  });
});
