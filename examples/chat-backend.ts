/**
 * A chat over HTTP beside `opencode serve --port 4096`, so that turns outlive a restart of this process.
 *
 *   OPENCODE_SERVER_PASSWORD=secret npx tsx examples/chat-backend.ts shop=/srv/shop blog=/srv/blog
 *   POST /shop/7         a message; the answer is its turn, as server-sent events that `readTurn()` reads
 *   GET  /shop/7         the turn that runs now, for a page that was loaded again; 204 when none runs
 *   POST /shop/7/per_1   the decision on a permission request, as JSON: "allow", "deny", { "deny": "why" }
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { JarvisOpenCode, permissionDecisionSchema, toProblem, type JarvisSnapshot } from 'jarvis-opencode';

export function chatBackend(jarvis: JarvisOpenCode, repos: Map<string, string>, save: (all: object) => void) {
  return async (request: Request): Promise<Response> => {
    const [name = '', chat = '', ask] = new URL(request.url).pathname.split('/').slice(1);
    const [directory, key] = [repos.get(name), `${name}/${chat}`];
    if (directory === undefined || chat === '') return new Response('No such repository.', { status: 404 });
    try {
      const repo = jarvis.forRepo(directory);
      if (ask !== undefined) {
        const decision = permissionDecisionSchema.safeParse(await request.json().catch(() => undefined));
        if (!decision.success) return new Response('No decision.', { status: 422 });
        const pending = (await repo.permissions.pending()).find((each) => each.request.id === ask);
        return Response.json((await pending?.reply(decision.data)) ?? 'gone');
      }
      if (request.method !== 'POST')
        return (await jarvis.forSession(key).attach())?.toResponse() ?? new Response(null, { status: 204 });
      const permission = [{ permission: 'bash', pattern: '*', action: 'ask' as const }];
      const session = await repo.sessions.open(key, { title: chat, permission });
      save(jarvis.snapshot());
      return session.stream(await request.text()).toResponse();
    } catch (error) {
      const problem = toProblem(error);
      return Response.json(problem, { status: problem.status });
    }
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [file, password] = ['chats.json', process.env['OPENCODE_SERVER_PASSWORD']];
  const restore = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as JarvisSnapshot) : undefined;
  const jarvis = await JarvisOpenCode.connect({ url: 'http://127.0.0.1:4096', password, restore });
  const repos = new Map(process.argv.slice(2).map((each) => each.split('=', 2) as [string, string]));
  const answer = chatBackend(jarvis, repos, (chats) => writeFileSync(file, JSON.stringify(chats)));
  const serve = async (from: IncomingMessage, to: ServerResponse): Promise<void> => {
    const init = { method: from.method ?? 'GET', body: from.method === 'POST' ? await text(from) : null };
    const { status, headers, body } = await answer(new Request(`http://chat${from.url}`, init));
    await pipeline(body ?? [], to.writeHead(status, Object.fromEntries(headers)));
  };
  const server = createServer((from, to) => void serve(from, to).catch(() => to.destroy()));
  server.listen(8080, '127.0.0.1');
  process.once('SIGTERM', () => {
    server.close();
    void jarvis.close({ drainMs: 30_000 });
  });
}
