import { globalRoute, scopedRoute, type Route } from '../route.js';

/** The operations on the server and on its instances. */
export const serverRoutes: readonly Route[] = [
  globalRoute('GET', '/global/health', ({ server }) =>
    Response.json({ healthy: true, version: server.version }),
  ),
  globalRoute('GET', '/global/event', ({ server, signal }) => eventStream(server.events.open(signal))),
  scopedRoute('GET', '/event', ({ server, instance, signal }) =>
    eventStream(server.events.open(signal, instance.directory)),
  ),
  globalRoute('GET', '/global/config', () => Response.json({})),
  // Answers when all are disposed, unlike the disposal of one instance.
  globalRoute('POST', '/global/dispose', async ({ server }) => {
    await server.instances.disposeAll();
    return Response.json(true);
  }),
  scopedRoute('POST', '/instance/dispose', ({ server, instance }) => {
    void server.instances.dispose(instance);
    return Response.json(true);
  }),
  scopedRoute('POST', '/log', () => Response.json(true)),
];

function eventStream(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' },
  });
}
