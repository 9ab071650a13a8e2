import { locationRoute, serverRoute, type Route } from '../route.js';
import { empty } from '../replies.js';

/** A process id for a server that is none. */
const PID = 1;

/** The operations on the server, its events and its locations. */
export const serverRoutes: readonly Route[] = [
  serverRoute('GET', '/api/info', ({ opencode: { server } }) =>
    Response.json({ version: server.version, pid: PID, urls: [], paths: { tmp: '/tmp/opencode' } }),
  ),
  serverRoute(
    'GET',
    '/api/event',
    ({ opencode: { events }, signal }) =>
      new Response(events.open(signal), {
        headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' },
      }),
  ),
  locationRoute('GET', '/api/location', ({ instance: { directory, projectID } }) =>
    Response.json({ directory, project: { id: projectID, directory, canonical: directory } }),
  ),
  serverRoute('GET', '/api/debug/location', ({ opencode: { server } }) =>
    Response.json(server.instances.loaded().map(({ directory }) => ({ directory }))),
  ),
  // Loads nothing: a location that is not loaded stays so.
  serverRoute('DELETE', '/api/debug/location', async ({ opencode, location }) => {
    await opencode.evict(location);
    return empty(204);
  }),
];
