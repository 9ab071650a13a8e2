import { UnsupportedOperationError, type PromptInput } from 'jarvis-opencode';
import { IDS, WORKTREE, type World } from './world.js';

/** One call of a public method, with every field of its input. */
export interface Call {
  /** `repo.sessions.create`. */
  readonly method: string;
  readonly call: (world: World) => unknown;
  /** What it sends on the way to its purpose: those operations do not count as covered by it. */
  readonly beside?: readonly string[];
  /** Made with the smallest answers only, because the course of the call depends on what they say. */
  readonly once?: boolean;
}

const model = { providerID: 'provider', modelID: 'model' };
const file = { type: 'file', mime: 'text/plain', url: 'data:text/plain,x', filename: 'x.txt' } as const;
const context: PromptInput = {
  parts: [
    { type: 'text', text: 'hello' },
    file,
    { type: 'agent', name: 'build' },
    { type: 'subtask', prompt: 'do', description: 'it', agent: 'build' },
  ],
  model,
  agent: 'build',
  system: 'be brief',
  tools: { bash: false },
  variant: 'high',
};
const prompt: PromptInput = {
  ...context,
  format: { type: 'json_schema', schema: { type: 'object' }, retryCount: 1 },
};
const permission = [{ permission: 'bash', pattern: '*', action: 'ask' }] as const;

const turn = {
  beside: [
    'GET /global/event',
    'GET /session/{sessionID}',
    'GET /session/status',
    'GET /session/{sessionID}/message',
  ],
  once: true,
};

const disposal = { beside: ['GET /global/event', 'GET /session/status', 'GET /pty'], once: true };

/** What is changed, or named, is read before. */
const readMessage = ['GET /session/{sessionID}/message/{messageID}'];

const sessionCalls: readonly Call[] = [
  { method: 'session.refresh', call: ({ session }) => session.refresh() },
  { method: 'session.prompt', call: ({ session }) => session.prompt(prompt), ...turn },
  { method: 'session.stream', call: ({ session }) => session.stream('hello').result, ...turn },
  {
    method: 'session.command',
    call: ({ session }) =>
      session.command({
        command: 'review',
        arguments: 'x',
        agent: 'build',
        model,
        variant: 'high',
        parts: [file],
      }),
    ...turn,
  },
  {
    method: 'session.shell',
    call: ({ session }) => session.shell({ command: 'ls', agent: 'build', model }),
    ...turn,
  },
  { method: 'session.init', call: ({ session }) => session.init(model), ...turn },
  {
    method: 'session.addContext',
    call: ({ session }) => session.addContext(context),
    beside: ['GET /session/{sessionID}'],
  },
  { method: 'session.entries', call: ({ session }) => refusedByOpenCode1(session.entries()) },
  { method: 'session.messages', call: ({ session }) => session.messages({ limit: 2, before: 'cursor' }) },
  { method: 'session.messages', call: ({ session }) => drain(session.messages({ limit: 2 })) },
  { method: 'session.message', call: ({ session }) => session.message(IDS.message) },
  {
    method: 'session.deleteMessage',
    call: ({ session }) => session.deleteMessage(IDS.message),
    beside: readMessage,
  },
  {
    method: 'session.updatePart',
    call: ({ session }) =>
      session.updatePart({
        id: IDS.part,
        messageID: IDS.message,
        sessionID: IDS.session,
        type: 'text',
        text: 'hello',
        synthetic: true,
        ignored: false,
        time: { start: 1, end: 2 },
        metadata: { key: 'value' },
      }),
    beside: readMessage,
  },
  {
    method: 'session.deletePart',
    call: ({ session }) => session.deletePart(IDS.message, IDS.part),
    beside: readMessage,
  },
  { method: 'session.children', call: ({ session }) => session.children() },
  { method: 'session.todos', call: ({ session }) => session.todos() },
  {
    method: 'session.diff',
    call: ({ session }) => session.diff({ messageID: IDS.message }),
    beside: readMessage,
  },
  {
    method: 'session.fork',
    call: ({ session }) => session.fork({ messageID: IDS.message }),
    beside: readMessage,
  },
  {
    method: 'session.update',
    call: ({ session }) =>
      session.update({
        title: 't',
        metadata: { key: 1 },
        permission: [...permission],
        time: { archived: 1 },
      }),
  },
  {
    method: 'session.summarize',
    call: ({ session }) => session.summarize({ ...model, auto: true }),
    beside: ['GET /session/{sessionID}/message'],
    once: true,
  },
  {
    method: 'session.revert',
    call: ({ session }) => session.revert({ messageID: IDS.message, partID: IDS.part }),
    beside: ['GET /session/{sessionID}'],
  },
  {
    method: 'session.unrevert',
    call: ({ session }) => session.unrevert(),
    beside: ['GET /session/{sessionID}'],
  },
  { method: 'session.share', call: ({ session }) => session.share() },
  { method: 'session.unshare', call: ({ session }) => session.unshare() },
  {
    method: 'session.replyPermission',
    call: ({ session }) => session.replyPermission(IDS.permission, { reply: 'always' }),
    beside: ['GET /permission'],
  },
  { method: 'session.abort', call: ({ session }) => session.abort() },
  {
    method: 'session.delete',
    call: ({ session }) => session.delete(),
    beside: ['GET /session/{sessionID}/children', 'POST /session/{sessionID}/abort'],
    once: true,
  },
  { method: 'session.attach', call: async ({ session }) => (await session.attach())?.result, ...turn },
  { method: 'session.lastResult', call: ({ session }) => session.lastResult(), ...turn },
  { method: 'session.events', call: ({ session }) => close(session.events()) },
];

const sessionsCalls: readonly Call[] = [
  { method: 'repo.sessions.open', call: ({ repo }) => repo.sessions.open('chat') },
  {
    method: 'repo.sessions.create',
    call: ({ repo }) =>
      repo.sessions.create({
        title: 't',
        parentID: IDS.session,
        agent: 'build',
        model: { id: 'model', providerID: 'provider', variant: 'high' },
        metadata: { key: 1 },
        permission: [...permission],
      }),
  },
  {
    method: 'repo.sessions.list',
    call: ({ repo }) => repo.sessions.list({ roots: true, start: 1, search: 's', path: 'src', limit: 3 }),
  },
  { method: 'repo.sessions.get', call: ({ repo }) => repo.sessions.get(IDS.session) },
  { method: 'repo.sessions.session', call: ({ repo }) => repo.sessions.session(IDS.session) },
  { method: 'repo.sessions.status', call: ({ repo }) => repo.sessions.status() },
];

const askCalls: readonly Call[] = [
  { method: 'repo.permissions.list', call: ({ repo }) => repo.permissions.list() },
  { method: 'repo.permissions.pending', call: ({ repo }) => repo.permissions.pending() },
  {
    method: 'repo.permissions.reply',
    call: ({ repo }) => repo.permissions.reply(IDS.permission, { reply: 'reject', message: 'no' }),
  },
  { method: 'repo.questions.list', call: ({ repo }) => repo.questions.list() },
  { method: 'repo.questions.pending', call: ({ repo }) => repo.questions.pending() },
  {
    method: 'repo.questions.reply',
    call: ({ repo }) => repo.questions.reply(IDS.question, { answers: [['yes'], []] }),
  },
  { method: 'repo.questions.reject', call: ({ repo }) => repo.questions.reject(IDS.question) },
];

const readingCalls: readonly Call[] = [
  { method: 'repo.agents.list', call: ({ repo }) => repo.agents.list() },
  { method: 'repo.commands.list', call: ({ repo }) => repo.commands.list() },
  { method: 'repo.config.get', call: ({ repo }) => repo.config.get() },
  { method: 'repo.config.providers', call: ({ repo }) => repo.config.providers() },
  {
    method: 'repo.config.update',
    call: ({ repo }) => repo.config.update({ username: 'me', model: 'provider/model' }),
    ...disposal,
  },
  { method: 'repo.files.list', call: ({ repo }) => repo.files.list('src') },
  { method: 'repo.files.read', call: ({ repo }) => repo.files.read('a.ts') },
  { method: 'repo.files.status', call: ({ repo }) => repo.files.status() },
  {
    method: 'repo.find.files',
    call: ({ repo }) => repo.find.files({ query: 'a', type: 'file', dirs: false, limit: 5 }),
  },
  { method: 'repo.find.symbols', call: ({ repo }) => repo.find.symbols({ query: 'a' }) },
  { method: 'repo.find.text', call: ({ repo }) => repo.find.text({ pattern: 'a' }) },
  { method: 'repo.formatter.status', call: ({ repo }) => repo.formatter.status() },
  {
    method: 'repo.log.write',
    call: ({ repo }) => repo.log.write({ service: 's', level: 'info', message: 'm', extra: { key: 1 } }),
  },
  { method: 'repo.lsp.status', call: ({ repo }) => repo.lsp.status() },
  { method: 'repo.skills.list', call: ({ repo }) => repo.skills.list() },
  { method: 'repo.tools.ids', call: ({ repo }) => repo.tools.ids() },
  { method: 'repo.tools.list', call: ({ repo }) => repo.tools.list({ provider: 'p', model: 'm' }) },
];

const projectCalls: readonly Call[] = [
  { method: 'repo.project.list', call: ({ repo }) => repo.project.list() },
  { method: 'repo.project.current', call: ({ repo }) => repo.project.current() },
  {
    method: 'repo.project.initGit',
    call: ({ repo }) => repo.project.initGit(),
    beside: [...disposal.beside, 'GET /project/current'],
    once: true,
  },
  {
    method: 'repo.project.update',
    call: async ({ repo }) =>
      repo.project.update((await repo.project.current()).id, {
        name: 'n',
        icon: { url: 'data:,', override: 'data:,', color: 'red' },
        commands: { start: 'true' },
      }),
    beside: ['GET /project/current'],
  },
  {
    method: 'repo.project.directories',
    call: async ({ repo }) => repo.project.directories((await repo.project.current()).id),
    beside: ['GET /project/current'],
  },
  { method: 'repo.providers.list', call: ({ repo }) => repo.providers.list() },
  { method: 'repo.providers.authMethods', call: ({ repo }) => repo.providers.authMethods() },
  {
    method: 'repo.providers.oauthAuthorize',
    call: ({ repo }) => repo.providers.oauthAuthorize('provider', { method: 0, inputs: { key: 'value' } }),
  },
  {
    method: 'repo.providers.oauthCallback',
    call: ({ repo }) => repo.providers.oauthCallback('provider', { method: 0, code: 'c' }),
  },
  { method: 'repo.vcs.get', call: ({ repo }) => repo.vcs.get() },
  { method: 'repo.vcs.status', call: ({ repo }) => repo.vcs.status() },
  { method: 'repo.vcs.diff', call: ({ repo }) => repo.vcs.diff({ mode: 'branch', context: 3 }) },
  { method: 'repo.vcs.diffRaw', call: ({ repo }) => repo.vcs.diffRaw() },
  { method: 'repo.vcs.apply', call: ({ repo }) => repo.vcs.apply({ patch: 'diff' }) },
];

const instanceCalls: readonly Call[] = [
  { method: 'repo.path', call: ({ repo }) => repo.path() },
  {
    method: 'repo.prompt',
    call: ({ repo }) => repo.prompt('hello'),
    beside: [
      ...turn.beside,
      'POST /session',
      'GET /session/{sessionID}/children',
      'POST /session/{sessionID}/abort',
      'DELETE /session/{sessionID}',
    ],
    once: true,
  },
  { method: 'repo.use', call: ({ repo }) => repo.use(() => 'used') },
  { method: 'repo.warm', call: ({ repo }) => repo.warm() },
  {
    method: 'repo.reload',
    call: ({ repo }) => repo.reload(),
    beside: [...disposal.beside, 'GET /path', 'GET /mcp', 'GET /config/providers'],
    once: true,
  },
  { method: 'repo.events', call: ({ repo }) => close(repo.events()) },
  { method: 'repo.hold', call: ({ repo }) => repo.hold('test')[Symbol.dispose]() },
  { method: 'repo.stats', call: ({ repo }) => repo.stats() },
  {
    method: 'repo.dispose',
    call: ({ repo }) => repo.dispose(),
    ...disposal,
  },
  { method: 'jarvis.global.health', call: ({ jarvis }) => jarvis.global.health() },
];

const globalCalls: readonly Call[] = [
  { method: 'jarvis.global.dispose', call: ({ jarvis }) => jarvis.global.dispose(), ...disposal },
  { method: 'jarvis.global.config.get', call: ({ jarvis }) => jarvis.global.config.get() },
  {
    method: 'jarvis.global.config.update',
    call: ({ jarvis }) => jarvis.global.config.update({ username: 'me', model: 'provider/model' }),
    ...disposal,
  },
  {
    method: 'jarvis.global.auth.set',
    call: async ({ jarvis }) => {
      const { auth } = jarvis.global;
      await auth.set('provider', { type: 'api', key: 'k', metadata: { key: 'value' } });
      await auth.set('provider', { type: 'wellknown', key: 'k', token: 't' });
      const grant = { refresh: 'r', access: 'a', expires: 1, accountId: 'i', enterpriseUrl: 'u' };
      await auth.set('provider', { type: 'oauth', ...grant });
    },
  },
  { method: 'jarvis.global.auth.remove', call: ({ jarvis }) => jarvis.global.auth.remove('provider') },
];

const ptyCalls: readonly Call[] = [
  { method: 'repo.pty.list', call: ({ repo }) => repo.pty.list() },
  {
    method: 'repo.pty.create',
    call: ({ repo }) =>
      repo.pty.create({ command: 'sh', args: ['-c'], cwd: '/tmp', title: 't', env: { KEY: 'value' } }),
  },
  { method: 'repo.pty.get', call: ({ repo }) => repo.pty.get(IDS.pty) },
  {
    method: 'repo.pty.update',
    call: ({ repo }) => repo.pty.update(IDS.pty, { title: 't', size: { rows: 1, cols: 1 } }),
  },
  { method: 'repo.pty.remove', call: ({ repo }) => repo.pty.remove(IDS.pty) },
  { method: 'repo.pty.shells', call: ({ repo }) => repo.pty.shells() },
  { method: 'repo.pty.connectToken', call: ({ repo }) => repo.pty.connectToken(IDS.pty) },
  {
    method: 'repo.pty.connect',
    call: async ({ repo }) => (await repo.pty.connect(IDS.pty, { cursor: 3 })).close(),
    beside: ['POST /pty/{ptyID}/connect-token'],
  },
];

/** How a worktree is proven to be one, before anything is changed. */
const proof = {
  beside: [...disposal.beside, 'POST /instance/dispose', 'GET /path', 'GET /file/content'],
  once: true,
};

const worktreeCalls: readonly Call[] = [
  { method: 'repo.worktrees.list', call: ({ repo }) => repo.worktrees.list() },
  {
    method: 'repo.worktrees.create',
    call: ({ repo }) => repo.worktrees.create({ name: 'n', startCommand: 'true' }),
    beside: ['GET /global/event'],
  },
  {
    method: 'repo.worktrees.reset',
    call: ({ repo }) => repo.worktrees.reset({ directory: WORKTREE }),
    ...proof,
  },
  {
    method: 'repo.worktrees.remove',
    call: ({ repo }) => repo.worktrees.remove({ directory: WORKTREE }),
    ...proof,
  },
  { method: 'repo.worktrees.forWorktree', call: ({ repo }) => repo.worktrees.forWorktree(WORKTREE) },
];

const mcpCalls: readonly Call[] = [
  { method: 'repo.mcp.status', call: ({ repo }) => repo.mcp.status() },
  {
    method: 'repo.mcp.add',
    call: ({ repo }) =>
      repo.mcp.add({
        name: 'n',
        config: {
          type: 'local',
          command: ['true'],
          cwd: '/tmp',
          environment: { KEY: 'value' },
          enabled: true,
          timeout: 1,
        },
      }),
  },
  {
    method: 'repo.mcp.add',
    call: ({ repo }) =>
      repo.mcp.add({
        name: 'n',
        config: {
          type: 'remote',
          url: 'http://mcp',
          enabled: true,
          headers: { key: 'value' },
          oauth: {
            clientId: 'i',
            clientSecret: 's',
            scope: 's',
            callbackPort: 1,
            redirectUri: 'http://back',
          },
          timeout: 1,
        },
      }),
  },
  { method: 'repo.mcp.connect', call: ({ repo }) => repo.mcp.connect('n') },
  { method: 'repo.mcp.disconnect', call: ({ repo }) => repo.mcp.disconnect('n') },
  { method: 'repo.mcp.authStart', call: ({ repo }) => repo.mcp.authStart('n') },
  { method: 'repo.mcp.authCallback', call: ({ repo }) => repo.mcp.authCallback('n', { code: 'c' }) },
  { method: 'repo.mcp.authenticate', call: ({ repo }) => repo.mcp.authenticate('n') },
  { method: 'repo.mcp.authRemove', call: ({ repo }) => repo.mcp.authRemove('n') },
];

const toast = { title: 't', message: 'm', variant: 'info', duration: 1 } as const;
const tuiCalls: readonly Call[] = [
  { method: 'repo.tui.appendPrompt', call: ({ repo }) => repo.tui.appendPrompt({ text: 't' }) },
  { method: 'repo.tui.submitPrompt', call: ({ repo }) => repo.tui.submitPrompt() },
  { method: 'repo.tui.clearPrompt', call: ({ repo }) => repo.tui.clearPrompt() },
  { method: 'repo.tui.openHelp', call: ({ repo }) => repo.tui.openHelp() },
  { method: 'repo.tui.openSessions', call: ({ repo }) => repo.tui.openSessions() },
  { method: 'repo.tui.openThemes', call: ({ repo }) => repo.tui.openThemes() },
  { method: 'repo.tui.openModels', call: ({ repo }) => repo.tui.openModels() },
  {
    method: 'repo.tui.executeCommand',
    call: ({ repo }) => repo.tui.executeCommand({ command: 'session.new' }),
  },
  { method: 'repo.tui.showToast', call: ({ repo }) => repo.tui.showToast(toast) },
  {
    method: 'repo.tui.publish',
    call: async ({ repo: { tui } }) => {
      await tui.publish({ type: 'tui.prompt.append', properties: { text: 't' } });
      await tui.publish({ type: 'tui.command.execute', properties: { command: 'session.new' } });
      await tui.publish({ type: 'tui.toast.show', properties: toast });
      await tui.publish({ type: 'tui.session.select', properties: { sessionID: IDS.session } });
    },
  },
  {
    method: 'repo.tui.selectSession',
    call: ({ repo }) => repo.tui.selectSession({ sessionID: IDS.session }),
  },
  { method: 'repo.tui.controlNext', call: ({ repo }) => repo.tui.controlNext() },
  { method: 'repo.tui.controlResponse', call: ({ repo }) => repo.tui.controlResponse({ done: true }) },
];

/** A call of every public method; some methods have several. */
export const CALLS: readonly Call[] = [
  ...sessionsCalls,
  ...sessionCalls,
  ...askCalls,
  ...readingCalls,
  ...projectCalls,
  ...instanceCalls,
  ...globalCalls,
  ...ptyCalls,
  ...worktreeCalls,
  ...mcpCalls,
  ...tuiCalls,
];

/** A call that only OpenCode 2 has. */
async function refusedByOpenCode1(call: PromiseLike<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (error instanceof UnsupportedOperationError) return;
    throw error;
  }
  throw new Error('OpenCode 1 has answered what only OpenCode 2 has.');
}

async function drain(list: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of list);
}

/** A stream counts once it is up. */
async function close(stream: {
  readonly ready: Promise<void>;
  close(): Promise<void> | void;
}): Promise<void> {
  await stream.ready;
  await stream.close();
}
