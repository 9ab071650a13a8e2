// Answers every request at once: a session, or a hundred of them to GET /session. Prints its port.
import { createServer } from 'node:http';

const session = (index) => ({
  id: `ses_dfc60aeffffeB17TWucuml4k${index}`,
  slug: 'hidden-panda',
  projectID: 'f846bc442615dea54207b9b3fa2a8d398dc9b413',
  directory: '/srv/app',
  path: '',
  title: `Session ${index}`,
  version: '1.18.33',
  cost: 0.00002,
  tokens: { input: 10, output: 5, reasoning: 0, cache: { read: 0, write: 0 } },
  time: { created: 1795355874385, updated: 1795355874385 },
});
const one = JSON.stringify(session(0));
const hundred = JSON.stringify(Array.from({ length: 100 }, (_, index) => session(index)));

const server = createServer((request, response) => {
  request.resume().on('end', () => {
    const isList = request.method === 'GET' && /^\/session(\?|$)/.test(request.url);
    response.writeHead(200, { 'content-type': 'application/json' }).end(isList ? hundred : one);
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
