/** The answers of OpenCode 2.0.14 that are not a success, each with its status and body. */

type Fields = Readonly<Record<string, unknown>>;

/** `{ _tag, …, message }`. */
function tagged(status: number, _tag: string, fields: Fields, message: string): Response {
  return Response.json({ _tag, ...fields, message }, { status });
}

/** A body, query or id has the wrong shape, status 400. */
export function invalid(message: string, kind: 'Payload' | 'Query' | 'Params' = 'Payload'): Response {
  return Response.json({ _tag: 'InvalidRequestError', message, kind }, { status: 400 });
}

/** A session without entries cannot be forked, status 400. */
export function emptySession(sessionID: string): Response {
  const message = `Cannot fork empty session: ${sessionID}`;
  return Response.json({ _tag: 'InvalidRequestError', message, kind: 'empty_session' }, { status: 400 });
}

export function invalidCursor(): Response {
  return tagged(400, 'InvalidCursorError', {}, 'Invalid cursor');
}

export function sessionNotFound(sessionID: string): Response {
  return tagged(404, 'SessionNotFoundError', { sessionID }, `Session not found: ${sessionID}`);
}

export function messageNotFound(sessionID: string, messageID: string): Response {
  return tagged(404, 'MessageNotFoundError', { sessionID, messageID }, `Message not found: ${messageID}`);
}

export function permissionNotFound(requestID: string): Response {
  return tagged(404, 'PermissionNotFoundError', { requestID }, `Permission request not found: ${requestID}`);
}

export function formNotFound(id: string): Response {
  return tagged(404, 'FormNotFoundError', { id }, `Form not found: ${id}`);
}

export function formSettled(id: string): Response {
  return tagged(409, 'FormAlreadySettledError', { id }, `Form already settled: ${id}`);
}

export function formAnswerWrong(id: string, message: string): Response {
  return tagged(400, 'FormInvalidAnswerError', { id }, message);
}

export function fileNotFound(path: string): Response {
  return tagged(404, 'FileNotFoundError', { path }, `File not found: ${path}`);
}

/** An answer without a body: the unknown paths of the API, and every unexpected error. */
export function empty(status: 204 | 404 | 500): Response {
  return new Response(null, { status });
}

/** The data of an answer. */
export function data(value: unknown): Response {
  return Response.json({ data: value });
}
