import type { Project } from '../../../client/schema/project.js';
import type { Instance } from '../../state/instances.js';
import { scopedRoute, type InstanceContext, type Route } from '../route.js';

/** The reads of a directory: an empty repository on its main branch, without language servers. */
export const readRoutes: readonly Route[] = [
  read('/path', ({ instance: { directory } }) => ({
    home: '/home/mock',
    state: '/home/mock/.local/state/opencode',
    config: '/home/mock/.config/opencode',
    worktree: directory,
    directory,
  })),
  read('/config', () => ({ model: 'mock/mock' })),
  read('/config/providers', ({ server: { catalog } }) => ({
    providers: catalog.providers,
    default: catalog.defaultModels,
  })),
  read('/provider', ({ server: { catalog } }) => ({
    all: catalog.providers,
    default: catalog.defaultModels,
    connected: catalog.providers.map(({ id }) => id),
  })),
  read('/provider/auth', () => ({})),
  read('/agent', ({ server }) => server.catalog.agents),
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
  // The server reads a missing file as an empty one.
  read('/file/content', () => ({ type: 'text', content: '' })),
  read('/file/status', () => []),
];

function read(pattern: string, answer: (context: InstanceContext) => unknown): Route {
  return scopedRoute('GET', pattern, (context) => Response.json(answer(context)));
}

function projectOf({ projectID, directory }: Instance): Project {
  return { id: projectID, worktree: directory, vcs: 'git', time: { created: 0, updated: 0 }, sandboxes: [] };
}
