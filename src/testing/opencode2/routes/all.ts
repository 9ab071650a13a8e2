import { documentOf } from '../openapi.js';
import { serverRoute, type Route } from '../route.js';
import { askRoutes } from './asks.js';
import { promptRoutes } from './prompts.js';
import { readRoutes } from './reads.js';
import { serverRoutes } from './server.js';
import { sessionRoutes } from './sessions.js';

const apiRoutes: readonly Route[] = [
  ...serverRoutes,
  ...sessionRoutes,
  ...promptRoutes,
  ...askRoutes,
  ...readRoutes,
];

/** The operations that the mock of OpenCode 2 answers; the first one that matches wins. */
export const OPENCODE_2_ROUTES: readonly Route[] = [
  ...apiRoutes,
  serverRoute('GET', '/openapi.json', () => Response.json(documentOf(apiRoutes))),
];
