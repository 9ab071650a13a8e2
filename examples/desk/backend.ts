import { timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { toProblem } from 'jarvis-opencode';
import * as z from 'zod';
import type { Desk } from './desk.js';
import type { PageFiles } from './page-files.js';

const STATE_MS = 500;

export interface DeskBackendInit {
  /** Whoever has it may do everything. */
  readonly token: string;
  /** Where the page is: `http://127.0.0.1:4200`. */
  readonly origin: string;
  readonly files: PageFiles;
}

const aName = z.string().min(1).max(100);
/** What the page may ask for, by path. */
const actions = {
  '/api/prompt': z.strictObject({ repo: aName, title: aName, text: z.string().min(1).max(20_000) }),
  '/api/answer': z.strictObject({
    ...{ key: z.string(), id: z.string() },
    decision: z.union([z.enum(['allow', 'always', 'deny']), z.array(z.array(z.string()))]),
  }),
  '/api/hold': z.strictObject({ repo: aName }),
  '/api/dispose': z.strictObject({ repo: aName }),
  '/api/restart': z.strictObject({ force: z.boolean() }),
  '/api/crash': z.strictObject({}),
  '/api/play': z.strictObject({ isPlaying: z.boolean() }),
};
type Actions = { readonly [Path in keyof typeof actions]: z.infer<(typeof actions)[Path]> };

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; img-src data:; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Answers the requests of the page, and nobody else's: who has not the token is told nothing. */
export function deskBackend(desk: Desk, init: DeskBackendInit): (request: Request) => Promise<Response> {
  const { token, origin, files } = init;
  const { host, port } = new URL(origin);
  const cookie = `desk-${port}`;

  const isKnown = (given: string): boolean =>
    given.length === token.length && timingSafeEqual(Buffer.from(given), Buffer.from(token));
  const cookieOf = (request: Request): string =>
    new RegExp(`(?:^|; )${cookie}=([^;]*)`).exec(request.headers.get('cookie') ?? '')?.[1] ?? '';

  return async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    // A page elsewhere may send requests here under a name of its own.
    if (request.headers.get('host') !== host) return refusal();
    if (isKnown(searchParams.get('token') ?? '')) {
      // The token leaves the address bar, and with it the history of the browser.
      const value = `${cookie}=${token}; HttpOnly; SameSite=Strict; Path=/`;
      return new Response(null, { status: 303, headers: { ...HEADERS, location: '/', 'set-cookie': value } });
    }
    if (!isKnown(cookieOf(request))) return refusal();
    if (request.method === 'GET') return get(desk, pathname, files);
    if (request.method !== 'POST' || request.headers.get('origin') !== origin) return refusal();
    return post(desk, pathname, await request.json().catch(() => undefined));
  };
}

function refusal(): Response {
  return new Response(null, { status: 401, headers: HEADERS });
}

function get(desk: Desk, pathname: string, files: PageFiles): Response {
  const file = files.get(pathname);
  if (file !== undefined) {
    return new Response(file.body, { headers: { ...HEADERS, 'content-type': file.type } });
  }
  if (pathname === '/api/state') return states(desk);
  const [, key] = /^\/api\/turn\/(.+)$/.exec(pathname) ?? [];
  if (key === undefined) return new Response(null, { status: 404, headers: HEADERS });
  const turn = desk.turnOf(decodeURIComponent(key));
  return turn?.toResponse({ headers: HEADERS }) ?? new Response(null, { status: 204, headers: HEADERS });
}

async function post(desk: Desk, pathname: string, body: unknown): Promise<Response> {
  if (!Object.hasOwn(actions, pathname)) return new Response(null, { status: 404, headers: HEADERS });
  const path = pathname as keyof Actions;
  const parsed = actions[path].safeParse(body);
  if (!parsed.success) return new Response(z.prettifyError(parsed.error), { status: 422, headers: HEADERS });
  try {
    return Response.json(await act(desk, path, parsed.data), { headers: HEADERS });
  } catch (error) {
    const problem = toProblem(error);
    return Response.json(problem, { status: problem.status, headers: HEADERS });
  }
}

/** Does what the page asks for; the body was checked for its path. */
async function act(desk: Desk, path: keyof Actions, body: unknown): Promise<unknown> {
  const of = <Path extends keyof Actions>(): Actions[Path] => body as Actions[Path];
  switch (path) {
    case '/api/prompt': {
      const { repo, title, text } = of<'/api/prompt'>();
      await desk.prompt(repo, title, text);
      return {};
    }
    case '/api/answer': {
      const { key, id, decision } = of<'/api/answer'>();
      return { outcome: await desk.answer(key, id, decision) };
    }
    case '/api/hold':
      desk.toggleHold(of<'/api/hold'>().repo);
      return {};
    case '/api/dispose':
      await desk.dispose(of<'/api/dispose'>().repo);
      return {};
    case '/api/restart':
      await desk.jarvis.server.restart({ force: of<'/api/restart'>().force });
      return {};
    case '/api/crash':
      desk.crash();
      return {};
    case '/api/play':
      desk.isPlaying = of<'/api/play'>().isPlaying;
      return {};
  }
}

/** The state of the desk as server-sent events, until the page goes away. */
function states(desk: Desk): Response {
  const gone = new AbortController();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      controller.enqueue(encoder.encode(`data: ${JSON.stringify(desk.state())}\n\n`));
      await sleep(STATE_MS, undefined, { signal: gone.signal }).catch(() => undefined);
    },
    cancel: () => gone.abort(),
  });
  return new Response(body, { headers: { ...HEADERS, 'content-type': 'text/event-stream' } });
}
