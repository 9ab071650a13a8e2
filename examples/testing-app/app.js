import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

/**
 * An HTTP endpoint over many repositories: `POST /<name> {"question": "…"}` asks the agent in the repository of that name and
 * answers `{"answer": "…"}`.
 *
 * @param {import('jarvis-opencode').JarvisOpenCode} jarvis
 * @param {Readonly<Record<string, string>>} repos - directories by name.
 */
export function createApp(jarvis, repos) {
  return createServer(async (request, response) => {
    const send = (status, body) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    try {
      const directory = repos[(request.url ?? '/').slice(1)];
      if (request.method !== 'POST' || directory === undefined) {
        return send(404, { error: 'No such repository.' });
      }
      const { question } = await json(request);
      const session = await jarvis.forRepo(directory).sessions.create();
      const { text } = await session.prompt(question);
      send(200, { answer: text });
    } catch (error) {
      send(502, { error: error.message });
    }
  });
}
