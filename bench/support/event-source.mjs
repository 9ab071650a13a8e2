// Serves `/global/event` and `/event` as OpenCode 1.18.33 does: the first with the envelope of each directory and the second
// delivery of what is stored, the second with one directory's events alone. What it sends are turns that a real server was
// recorded with; they come on standard input. `POST /play?turn=T&times=N&repos=R` sends turn T N times to each of R directories and
// answers when all is sent; `GET /connections` tells how many streams are open.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

const turns = await json(process.stdin);
const streams = new Set();

/** A turn as it would have been in another repository: what each read of `/global/event` gave. */
function inRepo({ reads, directory, sessionID }, repo) {
  const session = sessionID.slice(0, -4) + String(repo).padStart(4, '0');
  const move = (data) => data.replaceAll(directory, `/srv/repo-${repo}`).replaceAll(sessionID, session);
  return reads.map((read) => read.map(move));
}

const written = (data) => Buffer.from(data.map((each) => `data: ${each}\n\n`).join(''));

/** What `/event` sends of the same. */
function withoutEnvelope(data) {
  const { payload } = JSON.parse(data);
  return payload.type === 'sync' ? [] : [JSON.stringify(payload)];
}

/** Writes as fast as the reader takes it. */
async function write(response, writes, times) {
  for (let time = 0; time < times; time++) {
    for (const each of writes) if (!response.write(each)) await once(response, 'drain');
  }
}

/** All is made before anything is sent: what this process does meanwhile slows down a reader on the same core. */
async function play(turn, times, repos) {
  const moved = Array.from({ length: repos }, (_, repo) => inRepo(turn, repo));
  const global = turn.reads.flatMap((_, read) => moved.map((reads) => written(reads[read])));
  const own = (repo) => moved[repo]?.map((read) => written(read.flatMap(withoutEnvelope))) ?? [];
  const prepared = [...streams].map(({ response, directory }) => {
    const repo = Number(directory?.split('-').at(-1));
    return { response, writes: directory === undefined ? global : own(repo).filter(({ length }) => length) };
  });
  await Promise.all(prepared.map(({ response, writes }) => write(response, writes, times)));
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://source');
  const send = (data) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(data));
  const number = (name) => Number(url.searchParams.get(name));
  if (url.pathname === '/play') {
    void play(turns[number('turn')], number('times'), number('repos')).then(() => send(true));
  } else if (url.pathname === '/connections') {
    send(streams.size);
  } else if (url.pathname !== '/global/event' && url.pathname !== '/event') {
    // Whatever else a client asks while it subscribes has an answer: a request that stays open would count as a stream.
    send({});
  } else {
    const isGlobal = url.pathname === '/global/event';
    const stream = { response, directory: isGlobal ? undefined : (url.searchParams.get('directory') ?? '') };
    streams.add(stream);
    response.on('close', () => streams.delete(stream));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const connected = { id: 'evt_0', type: 'server.connected', properties: {} };
    response.write(`data: ${JSON.stringify(isGlobal ? { payload: connected } : connected)}\n\n`);
  }
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
