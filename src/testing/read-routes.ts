import type { Agent } from '../client/schema/agents.js';
import type { Project } from '../client/schema/project.js';
import type { Provider } from '../client/schema/providers.js';
import type { Instance } from './instances.js';
import { scopedRoute, type InstanceContext, type Route } from './router.js';

/** What can be read of a directory: as of an empty repository on its main branch, with one provider and no language servers. */
export const readRoutes: readonly Route[] = [
  read('/path', ({ instance: { directory } }) => ({
    home: '/home/mock',
    state: '/home/mock/.local/state/opencode',
    config: '/home/mock/.config/opencode',
    worktree: directory,
    directory,
  })),
  read('/config', () => ({ model: 'mock/mock' })),
  read('/config/providers', () => ({ providers: [provider()], default: { mock: 'mock' } })),
  read('/provider', () => ({ all: [provider()], default: { mock: 'mock' }, connected: ['mock'] })),
  read('/provider/auth', () => ({})),
  read('/agent', () => [agent('build', 'primary'), agent('plan', 'primary'), agent('general', 'subagent')]),
  read('/command', ({ server }) => server.commands),
  read('/skill', () => []),
  read('/lsp', () => []),
  read('/formatter', () => []),
  read('/mcp', () => ({})),
  read('/vcs', () => ({ branch: 'main', default_branch: 'main' })),
  read('/vcs/status', () => []),
  read('/project', ({ server }) => server.instances.loaded().map((instance) => projectOf(instance))),
  read('/project/current', ({ instance }) => projectOf(instance)),
  read('/find', () => []),
  read('/find/file', () => []),
  read('/find/symbol', () => []),
  read('/file', () => []),
  // What is not there is empty.
  read('/file/content', () => ({ type: 'text', content: '' })),
  read('/file/status', () => []),
];

function read(pattern: string, answer: (context: InstanceContext) => unknown): Route {
  return scopedRoute('GET', pattern, (context) => Response.json(answer(context)));
}

function projectOf({ projectID, directory }: Instance): Project {
  return { id: projectID, worktree: directory, vcs: 'git', time: { created: 0, updated: 0 }, sandboxes: [] };
}

function agent(name: string, mode: Agent['mode']): Agent {
  return { name, mode, native: true, permission: [], options: {} };
}

function provider(): Provider {
  const text = { text: true, audio: false, image: false, video: false, pdf: false };
  return {
    id: 'mock',
    name: 'Mock',
    source: 'config',
    env: [],
    options: {},
    models: {
      mock: {
        id: 'mock',
        providerID: 'mock',
        api: { id: 'mock', url: '', npm: '@ai-sdk/openai-compatible' },
        name: 'Mock',
        capabilities: {
          temperature: false,
          reasoning: true,
          attachment: false,
          toolcall: true,
          input: text,
          output: text,
          interleaved: false,
        },
        cost: { input: 0, output: 0, cache: { read: 0, write: 0 } },
        limit: { context: 200_000, output: 8_192 },
        status: 'active',
        options: {},
        headers: {},
        release_date: '',
      },
    },
  };
}
