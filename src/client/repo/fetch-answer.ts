import { AbortScope } from '../../core/abort.js';
import { DisposeRefusedError, RequestError } from '../../errors.js';
import {
  AcceptedWork,
  messageIsStored,
  terminalOpens,
  turnBegins,
  type AcceptedWorkInit,
} from './accepted-work.js';
import type { OpenCodeMajor } from '../dialect/dialect.js';
import type { EventHub } from '../events/hub.js';
import type { Http } from '../http/http.js';
import type { Release } from '../http/request.js';
import { wasRefused } from '../http/retry.js';
import { checkBody, fieldOf, parseBody } from './body-rules.js';
import { canonicalRequest, type CanonicalRequest } from './canonical.js';
import { eventResponse } from './event-response.js';
import { assertOwn } from './own-messages.js';
import { ownEntries } from './own-entries.js';
import type { Answered, Forwarded } from './operations.js';
import { directoryQuery, pathPin, type RepoTransport } from '../http/repo-transport.js';

/** A call that the library guards like a disposal; returns its answer. */
type Guarded = (signal: AbortSignal, json: unknown) => Promise<unknown>;

/** What a repository's `fetch` needs. */
export interface RepoFetchInit {
  readonly http: Http;
  readonly hub: EventHub;
  readonly transport: RepoTransport;
  /** Holds the instance for an accepted request; the returned function ends the hold. */
  readonly hold: (detail: string) => () => void;
  /** Makes sure that a session belongs to this repository. */
  readonly verify: (sessionID: string, signal: AbortSignal) => Promise<void>;
  /** The id of the project this repository belongs to. */
  readonly projectID: (signal: AbortSignal) => Promise<string>;
  /** The calls that make the server dispose instances, guarded. */
  readonly guarded: Readonly<Record<Exclude<Answered['by'], 'events' | 'globalEvents'>, Guarded>>;
}

/** A request to the repository as its caller spelled it. */
export interface GivenRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  /** Reads the body when it is first needed, and only once. */
  readonly body: () => Promise<ArrayBuffer | undefined>;
  readonly signal: AbortSignal;
}

/** A request for an operation of the table. */
interface RepoRequest extends CanonicalRequest, Pick<GivenRequest, 'headers' | 'body' | 'signal'> {
  readonly query: URLSearchParams;
}

/**
 * Answers a request: brings it to its canonical form, looks it up in the table of operations, and sends or answers it.
 *
 * @throws {OperationRefusedError} for an operation that is not in the table.
 */
export async function answerRequest(init: RepoFetchInit, given: GivenRequest): Promise<Response> {
  const { method, url, headers, body, signal } = given;
  const canonical = await lookUp(init, method, url.pathname, signal);
  const { treatment } = canonical.operation;
  const request = { ...canonical, headers: passedHeaders(headers), query: url.searchParams, body, signal };
  if (treatment.kind === 'answered') return answer(init, request, treatment.by);
  if (treatment.kind === 'forwarded') return answering(() => forward(init, request, treatment));
  throw new TypeError(`Unexpected treatment of ${canonical.method} ${canonical.path}.`);
}

/**
 * Looks a request up in the table of the server. One that sleeps or restarts may come up as another version, or was never started: the
 * request waits for it first, unless the library answers it alone, or no version takes it.
 */
async function lookUp(
  { http, transport }: RepoFetchInit,
  method: string,
  pathname: string,
  signal: AbortSignal,
): Promise<CanonicalRequest> {
  const by = (opencode: OpenCodeMajor): CanonicalRequest => canonicalRequest(method, pathname, opencode);
  if (!http.isUp) {
    const now = http.opencode;
    try {
      const canonical = by(now);
      if (canonical.operation.treatment.kind === 'answered') return canonical;
    } catch {
      by(now === 1 ? 2 : 1);
    }
    transport.assertHere();
    await http.untilUp(signal);
  }
  return by(http.opencode);
}

/**
 * The caller's headers without those that choose a directory or a workspace, carry credentials, or instruct a proxy.
 */
function passedHeaders(given: Headers): Headers {
  const headers = new Headers(given);
  for (const name of given.keys()) {
    const isDropped = name.startsWith('x-opencode-') && name !== 'x-opencode-ticket';
    if (isDropped || DROPPED_HEADERS.has(name)) headers.delete(name);
  }
  return headers;
}

const DROPPED_HEADERS: ReadonlySet<string> = new Set([
  ...['authorization', 'connection', 'content-length', 'cookie', 'host', 'keep-alive'],
  ...['proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
]);

/** Answers a request by the library itself. */
function answer(init: RepoFetchInit, request: RepoRequest, by: Answered['by']): Promise<Response> {
  const { http, hub, transport } = init;
  const events = { http, hub, directory: transport.directory };
  switch (by) {
    case 'events':
      return answering(() => {
        transport.assertHere();
        return eventResponse(events, request.signal, ({ id, type, properties }) => ({
          id,
          type,
          properties,
        }));
      });
    case 'globalEvents':
      return answering(() => {
        transport.assertHere();
        return eventResponse(events, request.signal, ({ directory, ...payload }) => ({ directory, payload }));
      });
    default:
      return answering(async () => {
        const body = await request.body();
        const json = body === undefined ? undefined : parseBody(request, textOf(body));
        return Response.json((await init.guarded[by](request.signal, json)) ?? true);
      });
  }
}

/** Turns an error of the server, or the refusal of a guard, into the answer. */
async function answering(run: () => Promise<Response>): Promise<Response> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof DisposeRefusedError) {
      const { name, message, holds } = error;
      return Response.json({ name, data: { message, holds } }, { status: 409 });
    }
    // An error with status 200 is the web page, not an answer of the API.
    if (!(error instanceof RequestError) || error.status === 200) throw error;
    const { body, status } = error;
    return typeof body === 'object'
      ? Response.json(body, { status })
      : new Response(bodyText(body), { status });
  }
}

function bodyText(body: unknown): string | null {
  return typeof body === 'string' ? body : null;
}

async function forward(init: RepoFetchInit, request: RepoRequest, rule: Forwarded): Promise<Response> {
  const { http, transport } = init;
  const { directory } = transport;
  const { method, path, params, headers, signal } = request;
  let body = await request.body();
  const sessionIDs = params['sessionID'] === undefined ? [] : [params['sessionID']];
  let json: unknown;
  if (rule.body !== undefined && body !== undefined && body.byteLength > 0) {
    const checked = checkBody(request, rule.body, directory, textOf(body));
    body = new TextEncoder().encode(checked.text).buffer;
    sessionIDs.push(...checked.sessionIDs);
    json = checked.json;
    headers.set('content-type', 'application/json');
    headers.delete('content-encoding');
  }
  for (const sessionID of sessionIDs) await init.verify(sessionID, signal);
  if (rule.changes !== undefined) {
    await assertOwn(init.transport, rule.changes, { target: request, params, json, signal, http });
  }
  const { projectID } = params;
  const needsProject = projectID !== undefined || rule.lists === 'projects';
  const ownProjectID = needsProject ? await init.projectID(signal) : undefined;
  if (projectID !== undefined && projectID !== ownProjectID) return noProject(projectID);

  const isGlobal = rule.isGlobal === true;
  const { pin = 'header' } = rule;
  if (pin === 'body') body = inLocation(request, json, directory);
  const pinnedPath = pin === 'header' ? pathPin(directory)(path) : path;
  const pinned = isGlobal ? path : pinnedPath + searchOf(request, rule, directory);
  const scope = new AbortScope([signal, http.closed]);
  const send = async (begin: () => void): Promise<Response> => {
    const leave = isGlobal
      ? () => undefined
      : await transport.acquire('request', `${method} ${path}`, scope.signal);
    const work = acceptedWork(init, request, rule, json);
    try {
      begin();
      const forwarded = { method, path: pinned, headers: new Headers(headers), body };
      const response = await http.forward({
        ...forwarded,
        directory: isGlobal || pin !== 'header' || listsSessions(request) ? undefined : directory,
        signal: scope.signal,
      });
      if (response.status === 204 || (rule.begins === 'terminal' && response.ok)) work?.accepted();
      else work?.over();
      const own = await ownEntries(response, rule.lists, { directory, projectID: ownProjectID });
      return releaseWhenRead(own, () => {
        leave();
        scope.end();
      });
    } catch (error) {
      // The request may have arrived even if its caller has given up, so only a refused connection ends the hold.
      if (wasRefused(error)) work?.over();
      else work?.accepted();
      leave();
      throw error;
    }
  };
  try {
    return await http.withFailover({ method, path }, scope.signal, send);
  } catch (error) {
    scope.end();
    throw scope.signal.aborted ? scope.signal.reason : error;
  }
}

/** The body of a request that names its directory there: whatever directory it names, it gets that of the repository. */
function inLocation({ headers }: RepoRequest, json: unknown, directory: string): ArrayBuffer {
  headers.set('content-type', 'application/json');
  const given = typeof json === 'object' && json !== null ? json : {};
  return new TextEncoder().encode(JSON.stringify({ ...given, location: { directory } })).buffer;
}

/** The answer that the server gives for a project that does not exist. */
function noProject(projectID: string): Response {
  const message = `Project not found: ${projectID}`;
  return Response.json({ _tag: 'ProjectNotFoundError', projectID, message }, { status: 404 });
}

/** The query parameters to pass on, and the directory where the header is not enough. */
function searchOf({ operation, query }: RepoRequest, rule: Forwarded, directory: string): string {
  const search = new URLSearchParams();
  for (const name of rule.query ?? []) {
    for (const value of query.getAll(name)) search.append(name, value);
  }
  if (listsSessions({ operation })) search.set('directory', directoryQuery(directory));
  if (rule.pin === 'directory') search.set('directory', directory);
  if (rule.pin === 'location') search.set('location[directory]', directory);
  return search.size > 0 ? `?${search.toString()}` : '';
}

/**
 * Whether the request lists sessions: only this route filters by the query. A header with the same long path would make
 * the request too long.
 */
function listsSessions({ operation }: Pick<RepoRequest, 'operation'>): boolean {
  return operation.method === 'GET' && operation.template === '/session';
}

/** Makes what holds the instance for work that the server accepts before events show it. */
function acceptedWork(
  init: RepoFetchInit,
  { method, path, params }: RepoRequest,
  rule: Forwarded,
  json: unknown,
): AcceptedWork | undefined {
  const { sessionID = '' } = params;
  if (rule.begins === undefined) return undefined;
  const { hub, http, transport } = init;
  const workInit: AcceptedWorkInit = {
    hub,
    directory: transport.directory,
    closed: http.closed,
    hold: () => init.hold(`${method} ${path}`),
  };
  if (rule.begins === 'terminal') return new AcceptedWork(workInit, terminalOpens);
  return new AcceptedWork(
    workInit,
    fieldOf(json, 'noReply') === true ? messageIsStored(sessionID) : turnBegins(sessionID),
  );
}

function textOf(body: ArrayBuffer): string {
  return new TextDecoder().decode(body);
}

/** Returns the same answer, and runs `release` when its body was read, failed or was cancelled. */
function releaseWhenRead(response: Response, release: Release): Response {
  if (response.body === null) {
    release();
    return response;
  }
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        release();
        controller.close();
      } catch (error) {
        release();
        controller.error(error);
      }
    },
    async cancel(reason) {
      release();
      await reader.cancel(reason);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(body, { status, statusText, headers });
}
