import { describe, expect, it } from 'vitest';
import { Http } from '../../../src/client/http/http.js';
import { RepoTransport, type RunAsDisposal } from '../../../src/client/http/repo-transport.js';
import { AgentsResource } from '../../../src/client/resources/agents.js';
import { CommandsResource } from '../../../src/client/resources/commands.js';
import { ConfigResource } from '../../../src/client/resources/config.js';
import { FilesResource } from '../../../src/client/resources/files.js';
import { FindResource } from '../../../src/client/resources/find.js';
import { FormatterResource } from '../../../src/client/resources/formatter.js';
import { LogResource } from '../../../src/client/resources/log.js';
import { LspResource } from '../../../src/client/resources/lsp.js';
import { ProjectResource } from '../../../src/client/resources/project.js';
import { ProvidersResource } from '../../../src/client/resources/providers.js';
import { SkillsResource } from '../../../src/client/resources/skills.js';
import { ToolsResource } from '../../../src/client/resources/tools.js';
import { VcsResource } from '../../../src/client/resources/vcs.js';
import { ResponseShapeError } from '../../../src/errors.js';

const DIRECTORY = '/repos/a b%20ü';

/** One resource of each kind, whose server answers everything with the same JSON. */
function resources(answer: unknown = []) {
  const sent: { method: string; target: string; body: unknown }[] = [];
  const http = new Http({
    endpoint: () => ({ url: 'http://server' }),
    signal: new AbortController().signal,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      expect(request.headers.get('x-opencode-directory')).toBe(encodeURIComponent(DIRECTORY));
      const { pathname, search } = new URL(request.url);
      const body = await request.text();
      sent.push({
        method: request.method,
        target: pathname + search,
        body: body === '' ? undefined : JSON.parse(body),
      });
      return Response.json(answer);
    },
  });
  const transport = new RepoTransport(http, DIRECTORY, async () => () => undefined);
  const runAsDisposal: RunAsDisposal = (send) => send(new AbortController().signal);
  return {
    sent,
    agents: new AgentsResource(transport),
    commands: new CommandsResource(transport),
    config: new ConfigResource(transport, runAsDisposal),
    files: new FilesResource(transport),
    find: new FindResource(transport),
    formatter: new FormatterResource(transport),
    log: new LogResource(transport),
    lsp: new LspResource(transport),
    project: new ProjectResource(transport, runAsDisposal),
    providers: new ProvidersResource(transport),
    skills: new SkillsResource(transport),
    tools: new ToolsResource(transport),
    vcs: new VcsResource(transport),
  };
}

type Resources = ReturnType<typeof resources>;

const project = { id: 'p', worktree: '/w' };
const provider = { id: 'p', models: { m: { id: 'm' } } };
const authorization = { url: 'https://example.invalid/', method: 'auto' };

/** Every method: how it is called, what is sent for it, and the least a server may answer. */
const operations: readonly (readonly [
  name: string,
  call: (repo: Resources) => Promise<unknown>,
  method: string,
  target: string,
  body: unknown,
  least: unknown,
])[] = [
  ['agents.list', (repo) => repo.agents.list(), 'GET', '/agent', undefined, [{ name: 'a' }]],
  ['commands.list', (repo) => repo.commands.list(), 'GET', '/command', undefined, [{ name: 'a' }]],
  ['config.get', (repo) => repo.config.get(), 'GET', '/config', undefined, {}],
  [
    'config.providers',
    (repo) => repo.config.providers(),
    'GET',
    '/config/providers',
    undefined,
    { providers: [provider], default: { p: 'm' } },
  ],
  [
    'files.list',
    (repo) => repo.files.list('a b/ü%20&c=d'),
    'GET',
    '/file?path=a+b%2F%C3%BC%2520%26c%3Dd',
    undefined,
    [{ name: 'a', path: 'a' }],
  ],
  [
    'files.read',
    (repo) => repo.files.read('a#b?+'),
    'GET',
    '/file/content?path=a%23b%3F%2B',
    undefined,
    { content: '' },
  ],
  ['files.status', (repo) => repo.files.status(), 'GET', '/file/status', undefined, [{ path: 'a' }]],
  [
    'find.text',
    (repo) => repo.find.text({ pattern: 'a.*(b|c)+' }),
    'GET',
    '/find?pattern=a.*%28b%7Cc%29%2B',
    undefined,
    [{ path: { text: 'a' } }],
  ],
  [
    'find.files',
    (repo) => repo.find.files({ query: '', type: 'file', dirs: false, limit: 200 }),
    'GET',
    '/find/file?query=&type=file&dirs=false&limit=200',
    undefined,
    ['a'],
  ],
  [
    'find.symbols',
    (repo) => repo.find.symbols({ query: 'a' }),
    'GET',
    '/find/symbol?query=a',
    undefined,
    [{ name: 'a' }],
  ],
  ['formatter.status', (repo) => repo.formatter.status(), 'GET', '/formatter', undefined, [{ name: 'a' }]],
  [
    'log.write',
    (repo) => repo.log.write({ service: 's', level: 'warn', message: '', extra: { a: [1] } }),
    'POST',
    '/log',
    { service: 's', level: 'warn', message: '', extra: { a: [1] } },
    true,
  ],
  ['lsp.status', (repo) => repo.lsp.status(), 'GET', '/lsp', undefined, [{ id: 'a' }]],
  ['project.list', (repo) => repo.project.list(), 'GET', '/project', undefined, [project]],
  ['project.current', (repo) => repo.project.current(), 'GET', '/project/current', undefined, project],
  [
    'providers.list',
    (repo) => repo.providers.list(),
    'GET',
    '/provider',
    undefined,
    { all: [provider], default: {}, connected: ['p'] },
  ],
  [
    'providers.authMethods',
    (repo) => repo.providers.authMethods(),
    'GET',
    '/provider/auth',
    undefined,
    { p: [{ type: 'api' }] },
  ],
  [
    'providers.oauthAuthorize',
    (repo) => repo.providers.oauthAuthorize('a/b', { method: 0, inputs: { account: 'mine' } }),
    'POST',
    '/provider/a%2Fb/oauth/authorize',
    { method: 0, inputs: { account: 'mine' } },
    authorization,
  ],
  [
    'providers.oauthCallback',
    (repo) => repo.providers.oauthCallback('p', { method: 1, code: 'c' }),
    'POST',
    '/provider/p/oauth/callback',
    { method: 1, code: 'c' },
    true,
  ],
  ['skills.list', (repo) => repo.skills.list(), 'GET', '/skill', undefined, [{ name: 'a' }]],
  ['tools.ids', (repo) => repo.tools.ids(), 'GET', '/experimental/tool/ids', undefined, ['bash']],
  [
    'tools.list',
    (repo) => repo.tools.list({ provider: 'p/q', model: 'm:1' }),
    'GET',
    '/experimental/tool?provider=p%2Fq&model=m%3A1',
    undefined,
    [{ id: 'a' }],
  ],
  ['vcs.get', (repo) => repo.vcs.get(), 'GET', '/vcs', undefined, {}],
  ['vcs.status', (repo) => repo.vcs.status(), 'GET', '/vcs/status', undefined, [{ file: 'a' }]],
  [
    'vcs.diff',
    (repo) => repo.vcs.diff({ mode: 'branch', context: 0 }),
    'GET',
    '/vcs/diff?mode=branch&context=0',
    undefined,
    [{ file: 'a' }],
  ],
  [
    'vcs.apply',
    (repo) => repo.vcs.apply({ patch: 'x' }),
    'POST',
    '/vcs/apply',
    { patch: 'x' },
    { applied: true },
  ],
];

/** The same from a newer server: with more fields, and with new members of what was an enum. */
function newer(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(newer);
  if (typeof answer !== 'object' || answer === null) return answer;
  const values = Object.values(answer);
  const isMap = values.length > 0 && values.every((value) => Array.isArray(value));
  if (isMap) return Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, newer(value)]));
  const enums = { type: 'new', status: 'new', mode: 'new', source: 'new' };
  return { ...answer, ...enums, added: { by: ['a newer server'] } };
}

describe.each(operations)('%s', (_name, call, method, target, body, least) => {
  it('sends one request, pinned to the directory', async () => {
    const repo = resources(least);
    await call(repo);
    expect(repo.sent).toEqual([{ method, target, body }]);
  });

  it('takes the least that a server may answer, and all that a newer one adds', async () => {
    const nothing = least === true;
    expect(await call(resources(least))).toEqual(nothing ? undefined : least);
    expect(await call(resources(newer(least)))).toEqual(nothing ? undefined : newer(least));
  });

  it.each([null, 'text', 7])('refuses an answer of another shape: %j', async (answer) => {
    const error: unknown = await call(resources(answer)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ResponseShapeError);
    expect(error).toMatchObject({ method, path: target.split('?')[0] });
  });
});

describe('a field the server sends as null', () => {
  it('leaves out a field that the server sends as null where it is optional, and keeps it elsewhere', async () => {
    expect(await resources({ branch: 'main', default_branch: null, added: null }).vcs.get()).toEqual({
      branch: 'main',
      added: null,
    });
    const agent = { name: 'a', hidden: null, color: null, steps: 0, native: false, added: null };
    expect(await resources([agent]).agents.list()).toEqual([
      { name: 'a', steps: 0, native: false, added: null },
    ]);
    expect(
      await resources([{ name: 'a', agent: null, subtask: null, model: 'p/m' }]).commands.list(),
    ).toEqual([{ name: 'a', model: 'p/m' }]);
  });
});

describe('the answer of an authorization', () => {
  it('rejects with ResponseShapeError when the authorization method is not one for OAuth', async () => {
    const { providers } = resources(null);
    await expect(providers.oauthAuthorize('p', { method: 2 })).rejects.toBeInstanceOf(ResponseShapeError);
  });
});

/** Mistakes of a caller: what is called, and what the error says. */
const mistakes: readonly (readonly [what: string, call: (repo: Resources) => unknown, message: RegExp])[] = [
  ['no path', (repo) => repo.files.list(undefined as never), /^Invalid path: .*expected string.*undefined/],
  ['a path of another type', (repo) => repo.files.read(7 as never), /^Invalid path: .*string.*number/],
  ['an empty path', (repo) => repo.files.read(''), /^Invalid path: /],
  ['a pattern that is no object', (repo) => repo.find.text('a' as never), /^Invalid text search: .*object/],
  ['an empty pattern', (repo) => repo.find.text({ pattern: '' }), /^Invalid text search: pattern: /],
  ['no query', (repo) => repo.find.files({} as never), /^Invalid file search: query: .*string/],
  ['a limit of 0', (repo) => repo.find.files({ query: '', limit: 0 }), /limit: .*>=1/],
  ['a limit of 201', (repo) => repo.find.files({ query: '', limit: 201 }), /limit: .*<=200/],
  ['half a limit', (repo) => repo.find.files({ query: '', limit: 1.5 }), /limit: .*int/],
  ['a type nobody knows', (repo) => repo.find.files({ query: '', type: 'link' as never }), /type: .*"file"/],
  ['dirs as text', (repo) => repo.find.files({ query: '', dirs: 'true' as never }), /dirs: .*boolean/],
  ['a misspelt key', (repo) => repo.find.symbols({ query: '', qeury: '' } as never), /"qeury"/],
  ['no mode', (repo) => repo.vcs.diff({} as never), /^Invalid diff: mode: .*"git"\|"branch"/],
  ['a negative context', (repo) => repo.vcs.diff({ mode: 'git', context: -1 }), /context: .*>=0/],
  ['an empty patch', (repo) => repo.vcs.apply({ patch: '' }), /^Invalid patch: patch: /],
  ['a name of another type', (repo) => repo.project.update('p', { name: 5 as never }), /name: .*string/],
  ['a field projects lack', (repo) => repo.project.update('p', { id: 'q' } as never), /"id"/],
  ['an icon that is text', (repo) => repo.project.update('p', { icon: 'x' as never }), /icon: .*object/],
  ['no project', (repo) => repo.project.update(undefined as never, {}), /got undefined/],
  ['an empty project', (repo) => repo.project.directories(''), /cannot be part of a path/],
  ['a project that climbs', (repo) => repo.project.directories('..'), /"\.\."/],
  ['a provider that climbs', (repo) => repo.providers.oauthAuthorize('..', { method: 0 }), /"\.\."/],
  ['a negative method', (repo) => repo.providers.oauthAuthorize('p', { method: -1 }), /method: .*>=0/],
  [
    'a method by name',
    (repo) => repo.providers.oauthCallback('p', { method: 'x' as never }),
    /method: .*num/,
  ],
  ['an empty code', (repo) => repo.providers.oauthCallback('p', { method: 0, code: '' }), /code: /],
  [
    'answers of another type',
    (repo) => repo.providers.oauthAuthorize('p', { method: 0, inputs: { account: 1 as never } }),
    /^Invalid authorization: inputs\.account: .*string/,
  ],
  ['no model', (repo) => repo.tools.list({ provider: 'p' } as never), /^Invalid model: model: .*string/],
  ['an empty provider', (repo) => repo.tools.list({ provider: '', model: 'm' }), /provider: /],
  [
    'a level nobody knows',
    (repo) => repo.log.write({ service: 's', level: 'fatal' as never, message: 'm' }),
    /^Invalid log entry: level: .*"debug"/,
  ],
  [
    'no message',
    (repo) => repo.log.write({ service: 's', level: 'info' } as never),
    /^Invalid log entry: message: .*string/,
  ],
];

describe('a project', () => {
  const other = { name: 'OperationRefusedError', message: expect.stringContaining('forRepo()') as string };

  it("changes and lists a project by the id of the repository's own project", async () => {
    const id = 'a/b%2F';
    const { project, sent } = resources({ id, worktree: '/w' });
    await project.update(id, { icon: { url: 'data:,' }, commands: {} });
    await project.directories(id).catch(() => undefined);
    expect(sent.filter(({ target }) => target !== '/project/current')).toEqual([
      { method: 'PATCH', target: '/project/a%2Fb%252F', body: { icon: { url: 'data:,' }, commands: {} } },
      { method: 'GET', target: '/project/a%2Fb%252F/directories', body: undefined },
    ]);
  });

  it('refuses a project of another repository after it looked up only the own one', async () => {
    const { project, sent } = resources({ id: 'own', worktree: '/w' });
    await expect(project.update('other', { name: 'x' })).rejects.toMatchObject(other);
    await expect(project.directories('other')).rejects.toMatchObject(other);
    expect(new Set(sent.map(({ target }) => target))).toEqual(new Set(['/project/current']));
  });
});

describe('an argument mistake', () => {
  it.each(mistakes)(
    'rejects with a TypeError that names the mistake of the caller, and sends nothing: %s',
    async (_what, call, message) => {
      const repo = resources();
      const error: unknown = await Promise.resolve(call(repo)).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(TypeError);
      expect((error as TypeError).message).toMatch(message);
      expect(repo.sent).toEqual([]);
    },
  );
});
