/** The refusals of OpenCode 1.18.33, each with its status and body. */

/** Something does not exist: `{ name, data }`, status 404. */
export function notFound(message: string): Response {
  return Response.json({ name: 'NotFoundError', data: { message } }, { status: 404 });
}

/** A permission or question is not pending: `{ _tag, … }`, status 404. */
export function requestNotFound(kind: 'Permission' | 'Question', requestID: string): Response {
  const message = `${kind} request not found: ${requestID}`;
  return Response.json({ _tag: `${kind}NotFoundError`, requestID, message }, { status: 404 });
}

/** A terminal does not exist: `{ _tag, … }`, status 404. */
export function ptyNotFound(ptyID: string): Response {
  const message = `PTY session not found: ${ptyID}`;
  return Response.json({ _tag: 'PtyNotFoundError', ptyID, message }, { status: 404 });
}

/** A ticket was requested without its header, status 403. */
export function ptyForbidden(): Response {
  const message = 'Invalid PTY connect token request';
  return Response.json({ _tag: 'PtyForbiddenError', message }, { status: 403 });
}

/** A session is busy, status 409. */
export function sessionBusy(sessionID: string): Response {
  const message = `Session is busy: ${sessionID}`;
  return Response.json({ _tag: 'SessionBusyError', sessionID, message }, { status: 409 });
}

/** A body, query or id has the wrong shape, or the server cannot encode its answer (`Body`): status 400. */
export function badRequest(message: string, kind: 'Payload' | 'Query' | 'Params' | 'Body'): Response {
  return Response.json({ name: 'BadRequest', data: { message, kind } }, { status: 400 });
}

/** The answer of `POST /session` to an invalid body: status 400, in another shape than elsewhere. */
export function badSessionBody(): Response {
  return Response.json({ _tag: 'BadRequest' }, { status: 400 });
}

/** The answer of a list of messages to an invalid cursor: status 400, in the shape of {@link badSessionBody}. */
export const badCursor = badSessionBody;
/** The answer to a changed part whose ids are not those of the path: status 400, in the shape of {@link badSessionBody}. */
export const otherPart = badSessionBody;

/** Every unexpected error, status 500. */
export function unknownError(): Response {
  const message = 'Unexpected server error. Check server logs for details.';
  return Response.json({ name: 'UnknownError', data: { message, ref: 'err_00000000' } }, { status: 500 });
}

/** The password is wrong or missing: status 401, an empty body. */
export function unauthorized(): Response {
  return new Response(null, { status: 401, headers: { 'www-authenticate': 'Basic realm="Secure Area"' } });
}

/** The content type of a body is not JSON, status 415. */
export function unsupportedType(type: string): Response {
  return new Response(`Unsupported content-type: ${type}`, {
    status: 415,
    headers: { 'content-type': 'text/plain' },
  });
}

/** The web page by which the server answers every unknown path, status 200. */
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

/** An answer without a body, status 204. */
export function noContent(): Response {
  return new Response(null, { status: 204 });
}
