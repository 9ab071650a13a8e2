import { requestNotFound } from './replies.js';
import { globalRoute, scopedRoute, type Route } from './router.js';

/** The operations on the server and on instances. */
export const serverRoutes: readonly Route[] = [
  globalRoute('GET', '/global/health', ({ server }) =>
    Response.json({ healthy: true, version: server.version }),
  ),
  globalRoute(
    'GET',
    '/global/event',
    ({ server, signal }) =>
      new Response(server.events.open(signal), {
        headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' },
      }),
  ),
  // Unlike the disposal of one instance it answers when all is done.
  globalRoute('POST', '/global/dispose', async ({ server }) => {
    await server.instances.disposeAll();
    return Response.json(true);
  }),
  scopedRoute('POST', '/instance/dispose', ({ server, instance }) => {
    void server.instances.dispose(instance);
    return Response.json(true);
  }),
  scopedRoute('GET', '/path', ({ instance: { directory } }) =>
    Response.json({
      home: '/home/mock',
      state: '/home/mock/.local/state/opencode',
      config: '/home/mock/.config/opencode',
      worktree: directory,
      directory,
    }),
  ),
  scopedRoute('GET', '/pty', () => Response.json([])),
  scopedRoute('GET', '/permission', () => Response.json([])),
  scopedRoute('POST', '/permission/:requestID/reply', ({ params }) =>
    requestNotFound('Permission', params['requestID'] ?? ''),
  ),
  scopedRoute('GET', '/question', () => Response.json([])),
  scopedRoute('POST', '/question/:requestID/reply', ({ params }) =>
    requestNotFound('Question', params['requestID'] ?? ''),
  ),
  scopedRoute('POST', '/question/:requestID/reject', ({ params }) =>
    requestNotFound('Question', params['requestID'] ?? ''),
  ),
];
