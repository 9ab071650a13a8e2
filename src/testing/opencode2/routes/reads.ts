import { locationRoute, serverRoute, type LocationContext, type Route } from '../route.js';
import { fileNotFound } from '../replies.js';
import { ruleOf } from '../session-info.js';
import { located } from './asks.js';

/** The reads of a location: an empty repository on its main branch. */
export const readRoutes: readonly Route[] = [
  // The mock has no files.
  locationRoute('GET', '/api/fs/read/*', ({ params }) => fileNotFound(params['*'] ?? '')),
  read('/api/fs/list', () => []),
  read('/api/fs/find', () => []),
  read('/api/model', ({ opencode }) => opencode.server.catalog.providers.flatMap(modelsOf)),
  read(
    '/api/model/default',
    ({ opencode }) => opencode.server.catalog.providers.flatMap(modelsOf)[0] ?? null,
  ),
  read('/api/provider', ({ opencode }) =>
    opencode.server.catalog.providers.map(({ id, name }) => ({ id, name, activation: 'enabled' })),
  ),
  read('/api/agent', ({ opencode }) =>
    opencode.server.catalog.agents.map(({ name, mode, permission }) => ({
      id: name,
      name,
      request: { settings: {}, headers: {}, body: {} },
      mode,
      hidden: false,
      permissions: (Array.isArray(permission) ? permission : []).map(ruleOf),
    })),
  ),
  read('/api/command', ({ opencode }) =>
    opencode.server.commands.map(({ name, description }) => ({ name, description })),
  ),
  read('/api/mcp', () => []),
  // The mock makes no terminals for OpenCode 2.
  read('/api/pty', () => []),
  read('/api/vcs', () => ({ provider: 'git', branch: { current: 'main', default: 'main' } })),
  read('/api/vcs/status', () => []),
  // An array of sources, without an envelope.
  locationRoute('GET', '/api/config', () =>
    Response.json([
      { type: 'directory', path: '/home/mock/.config/opencode' },
      { type: 'document', info: { model: { providerID: 'mock', model: 'mock' } } },
    ]),
  ),
  serverRoute('GET', '/api/project', ({ opencode: { server } }) =>
    Response.json(
      server.instances.loaded().map(({ projectID, directory }) => ({
        id: projectID,
        canonical: directory,
        vcs: 'git',
        time: { created: 0, updated: 0, active: 0 },
        sandboxes: [],
      })),
    ),
  ),
];

function read(pattern: string, answer: (context: LocationContext) => unknown): Route {
  return locationRoute('GET', pattern, (context) => located(context.instance, answer(context)));
}

type Provider = LocationContext['opencode']['server']['catalog']['providers'][number];

function modelsOf({ models }: Provider): object[] {
  return Object.values(models).map(({ id, providerID, name, limit }) => ({
    id,
    modelID: id,
    providerID,
    name,
    capabilities: { tools: true, input: ['text'], output: ['text'] },
    variants: [],
    time: { released: 0 },
    cost: [],
    status: 'active',
    enabled: true,
    limit,
  }));
}
