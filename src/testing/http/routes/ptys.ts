import type { Pty } from '../../../client/schema/pty.js';
import { readBody } from '../body.js';
import { ptyForbidden, ptyNotFound } from '../replies.js';
import { scopedRoute, type InstanceContext, type Route } from '../route.js';

/** The operations on the terminals of a directory, except their WebSockets. */
export const ptyRoutes: readonly Route[] = [
  scopedRoute('GET', '/pty', ({ instance }) => Response.json(instance.ptys.list())),
  scopedRoute('POST', '/pty', ({ instance, bodyText }) => {
    const body = readBody(bodyText, ['command?', 'cwd?', 'title?']);
    return body instanceof Response ? body : Response.json(instance.ptys.create(body));
  }),
  scopedRoute('GET', '/pty/shells', () =>
    Response.json([{ path: '/bin/bash', name: 'bash', acceptable: true }]),
  ),
  scopedRoute('GET', '/pty/:ptyID', (context) => withPty(context, (pty) => Response.json(pty))),
  scopedRoute('PUT', '/pty/:ptyID', (context) =>
    withPty(context, (pty) => {
      const body = readBody(context.bodyText, ['title?']);
      return body instanceof Response ? body : Response.json(context.instance.ptys.update(pty, body));
    }),
  ),
  scopedRoute('DELETE', '/pty/:ptyID', (context) =>
    withPty(context, (pty) => {
      context.instance.ptys.remove(pty);
      return Response.json(true);
    }),
  ),
  scopedRoute('POST', '/pty/:ptyID/connect-token', (context) => {
    if (context.headers.get('x-opencode-ticket') !== '1') return ptyForbidden();
    return withPty(context, ({ id }) =>
      Response.json({ ticket: context.instance.ptys.issueTicket(id), expires_in: 60 }),
    );
  }),
];

function withPty({ instance, params }: InstanceContext, answer: (pty: Pty) => Response): Response {
  const ptyID = params['ptyID'] ?? '';
  const pty = instance.ptys.get(ptyID);
  return pty === undefined ? ptyNotFound(ptyID) : answer(pty);
}
