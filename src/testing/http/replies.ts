/** The refusals of OpenCode 1.18.33, each with the status and the body it has there (measured). */

/** Something that is not there: `{ name, data }`, status 404. */
export function notFound(message: string): Response {
  return Response.json({ name: 'NotFoundError', data: { message } }, { status: 404 });
}

/** A permission or question that is not pending: `{ _tag, … }`, status 404. */
export function requestNotFound(kind: 'Permission' | 'Question', requestID: string): Response {
  const message = `${kind} request not found: ${requestID}`;
  return Response.json({ _tag: `${kind}NotFoundError`, requestID, message }, { status: 404 });
}

/** A terminal that is not there: `{ _tag, … }`, status 404. */
export function ptyNotFound(ptyID: string): Response {
  const message = `PTY session not found: ${ptyID}`;
  return Response.json({ _tag: 'PtyNotFoundError', ptyID, message }, { status: 404 });
}

/** A ticket that was not asked for in the right way, status 403. */
export function ptyForbidden(): Response {
  const message = 'Invalid PTY connect token request';
  return Response.json({ _tag: 'PtyForbiddenError', message }, { status: 403 });
}

/** A session that is at work, status 409. */
export function sessionBusy(sessionID: string): Response {
  const message = `Session is busy: ${sessionID}`;
  return Response.json({ _tag: 'SessionBusyError', sessionID, message }, { status: 409 });
}

/** A body, query or id of the wrong shape, or an answer that cannot be encoded (`Body`), status 400. */
export function badRequest(message: string, kind: 'Payload' | 'Query' | 'Params' | 'Body'): Response {
  return Response.json({ name: 'BadRequest', data: { message, kind } }, { status: 400 });
}

/** What `POST /session` answers to a body it does not understand: status 400, another shape than elsewhere. */
export function badSessionBody(): Response {
  return Response.json({ _tag: 'BadRequest' }, { status: 400 });
}

/** What a list of messages answers to a cursor it does not understand: as for a session, status 400. */
export const badCursor = badSessionBody;
/** What the change of a part answers when the body names another one than the path: as for a session, status 400. */
export const otherPart = badSessionBody;

/** Whatever the server did not foresee, status 500. */
export function unknownError(): Response {
  const message = 'Unexpected server error. Check server logs for details.';
  return Response.json({ name: 'UnknownError', data: { message, ref: 'err_00000000' } }, { status: 500 });
}

/** A wrong or missing password: status 401, an empty body. */
export function unauthorized(): Response {
  return new Response(null, { status: 401, headers: { 'www-authenticate': 'Basic realm="Secure Area"' } });
}

/** A body that is not JSON by its content type, status 415. */
export function unsupportedType(type: string): Response {
  return new Response(`Unsupported content-type: ${type}`, {
    status: 415,
    headers: { 'content-type': 'text/plain' },
  });
}

/** The web page that the server answers to every path it does not know, status 200. */
export function webPage(): Response {
  return new Response('<!doctype html><title>OpenCode</title>', {
    headers: { 'content-type': 'text/html;charset=UTF-8' },
  });
}

/** An operation of the real server that the mock does not have, status 501. */
export function notMocked(method: string, path: string): Response {
  const message = `not mocked: ${method} ${path} — add a handler with mock.use('${method} ${path}', …)`;
  return Response.json({ name: 'NotMocked', data: { message } }, { status: 501 });
}

/** A handler of the test threw, status 500. */
export function handlerFailed(operation: string, error: unknown): Response {
  const message = `the handler of ${operation} threw: ${String(error)}`;
  return Response.json({ name: 'HandlerFailed', data: { message } }, { status: 500 });
}

/** Done, without anything to say, status 204. */
export function noContent(): Response {
  return new Response(null, { status: 204 });
}
