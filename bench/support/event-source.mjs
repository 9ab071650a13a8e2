// Serves `/global/event` and `/event` in the form of OpenCode 1.18.33: the first with the envelope of each directory and the
// second delivery of what is stored, the second with one directory's events alone. `POST /play?turns=N&repos=R` sends N turns
// to each of R directories and answers when all is sent; `GET /connections` tells how many streams are open.
import { once } from 'node:events';
import { createServer } from 'node:http';

/** So many frames came with one read from the real server, on average. */
const FRAMES_PER_WRITE = 8;
const DELTAS_PER_TURN = 40;

const streams = new Set();
let events = 0;

function* turn(repo, number) {
  const sessionID = `ses_dfbe6a855ffe24lkfDU3q8c${repo}`;
  const messageID = `msg_2041959b1001rPCdSmOT9R6${number}`;
  const partID = `prt_2041959b1001rPCdSmOT9R6${number}`;
  const at = 1795355874385;
  const stored = true;
  const info = {
    id: messageID,
    parentID: `msg_${number}`,
    role: 'assistant',
    mode: 'build',
    agent: 'build',
    path: { cwd: `/srv/repo-${repo}`, root: `/srv/repo-${repo}` },
    cost: 0.00002,
    tokens: { input: 10, output: 5, reasoning: 0, cache: { read: 0, write: 0 } },
    modelID: 'scripted',
    providerID: 'scripted',
    time: { created: at },
    sessionID,
  };
  const part = (more) => ({ id: partID, sessionID, messageID, ...more });
  const session = {
    id: sessionID,
    slug: 'hidden-panda',
    directory: `/srv/repo-${repo}`,
    title: 'A turn',
    version: '1.18.33',
  };
  yield {
    type: 'session.updated',
    properties: { sessionID, info: { ...session, time: { created: at, updated: at } } },
    stored,
  };
  yield { type: 'session.status', properties: { sessionID, status: { type: 'busy' } } };
  yield { type: 'message.updated', properties: { sessionID, info }, stored };
  yield {
    type: 'message.part.updated',
    properties: { sessionID, part: part({ type: 'step-start' }), time: at },
    stored,
  };
  yield {
    type: 'message.part.updated',
    properties: { sessionID, part: part({ type: 'text', text: '' }), time: at },
    stored,
  };
  for (let index = 0; index < DELTAS_PER_TURN; index++) {
    yield {
      type: 'message.part.delta',
      properties: { sessionID, messageID, partID, field: 'text', delta: ` word ${index}` },
    };
  }
  const text = ' word 00'.repeat(DELTAS_PER_TURN);
  yield {
    type: 'message.part.updated',
    properties: { sessionID, part: part({ type: 'text', text }), time: at },
    stored,
  };
  yield {
    type: 'message.updated',
    properties: { sessionID, info: { ...info, time: { created: at, completed: at }, finish: 'stop' } },
    stored,
  };
  yield { type: 'session.status', properties: { sessionID, status: { type: 'idle' } } };
  yield { type: 'session.idle', properties: { sessionID } };
}

/** The frames of an event, for each of the two forms. */
function framesOf(directory, { type, properties, stored }) {
  const payload = { id: `evt_${(events++).toString(16).padStart(26, '0')}`, type, properties };
  const envelope = { directory, project: 'f846bc442615dea54207b9b3fa2a8d398dc9b413' };
  const sync = {
    id: payload.id,
    type: `${type}.1`,
    seq: 1,
    aggregateID: properties.sessionID,
    data: properties,
  };
  const frame = (data) => `data: ${JSON.stringify(data)}\n\n`;
  return {
    own: [frame(payload)],
    global: [
      frame({ ...envelope, payload }),
      ...(stored ? [frame({ ...envelope, payload: { type: 'sync', syncEvent: sync } })] : []),
    ],
  };
}

/** What is written at a time, made before anything is: what this process does meanwhile slows down a reader on the same core. */
function writesOf(frames) {
  return Array.from({ length: Math.ceil(frames.length / FRAMES_PER_WRITE) }, (_, index) =>
    Buffer.from(frames.slice(index * FRAMES_PER_WRITE, (index + 1) * FRAMES_PER_WRITE).join('')),
  );
}

/** Writes as fast as the reader takes it. */
async function write(response, writes) {
  for (const each of writes) if (!response.write(each)) await once(response, 'drain');
}

async function play(turns, repos) {
  const before = events;
  const own = Array.from({ length: repos }, () => []);
  const global = [];
  for (let number = 0; number < turns; number++) {
    const running = Array.from({ length: repos }, (_, repo) => turn(repo, number));
    for (
      let steps = running.map((each) => each.next());
      !steps[0].done;
      steps = running.map((each) => each.next())
    ) {
      for (const [repo, { value }] of steps.entries()) {
        const frames = framesOf(`/srv/repo-${repo}`, value);
        own[repo].push(...frames.own);
        global.push(...frames.global);
      }
    }
  }
  const prepared = [...streams].map(({ response, directory }) => {
    const repo = Number(directory?.split('-').at(-1));
    return { response, writes: writesOf(directory === undefined ? global : (own[repo] ?? [])) };
  });
  await Promise.all(prepared.map(({ response, writes }) => write(response, writes)));
  return events - before;
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://source');
  const send = (data) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(data));
  if (url.pathname === '/play') {
    void play(Number(url.searchParams.get('turns')), Number(url.searchParams.get('repos'))).then(send);
  } else if (url.pathname === '/connections') {
    send(streams.size);
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
