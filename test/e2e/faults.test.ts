import { getEventListeners } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JarvisError, JarvisOpenCode, TurnError, type Session, type TurnResult } from 'jarvis-opencode';
import { waitFor } from '../../src/testing/script/steps.js';
import { faultProxy, type FaultProxy, type ProxyConnection } from '../support/fault-proxy.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text, toolCall } from '../support/model-steps.js';
import { deferred, until } from '../support/wait.js';

/** `npm run test:faults` runs 200 turns, which takes some minutes; the normal run takes fewer. */
const TURNS = Number(process.env['FAULT_TURNS'] ?? 24);
const REPOS = 4;
const SESSIONS_PER_REPO = 3;
/** What happens to the connections, one after the other, every second. */
const FAULT_EVERY_MS = 1_000;

const EVENTS = 'GET /global/event';
const isEvents = ({ request }: ProxyConnection): boolean => request === EVENTS;

/** The faults, in turn; each gets the open connections. */
const FAULTS: Readonly<Record<string, (connections: readonly ProxyConnection[], proxy: FaultProxy) => void>> =
  {
    'the event stream is cut': (connections) => connections.filter(isEvents).forEach((each) => each.cut()),
    'everything is held for a while': (connections) => {
      for (const each of connections) each.hold();
      setTimeout(() => connections.forEach((each) => each.release()), 700);
    },
    'everything is cut': (connections) => connections.forEach((each) => each.cut()),
    'the event stream is half open for a while': (connections) => {
      for (const each of connections.filter(isEvents)) {
        each.halfOpen();
        setTimeout(() => each.cut(), 3_000);
      }
    },
    'requests are cut': (connections) =>
      connections.filter((each) => !isEvents(each)).forEach((each) => each.cut()),
    'what comes next is cut after some bytes': (_connections, proxy) => {
      proxy.onConnection = (connection) => {
        proxy.onConnection = () => undefined;
        connection.cutAfter(150);
      };
    },
    'everything is slow': (connections) => connections.forEach((each) => each.slow(50_000)),
  };

let world: RealJarvis;
let proxy: FaultProxy;
let jarvis: JarvisOpenCode;

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  const { url, authorization } = world.jarvis.server as RealServer;
  proxy = await faultProxy(url);
  const password = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString().split(':')[1] ?? '';
  jarvis = await JarvisOpenCode.connect({ url: proxy.url, password, paths: 'local', idle: false });
});
afterAll(async () => {
  await jarvis?.close();
  await proxy?.close();
  await world?.[Symbol.asyncDispose]();
});

type RealServer = JarvisOpenCode['server'] & { readonly authorization: string };

/** A session made past the proxy, and the same one through it. */
async function makeSession(
  directory: string,
): Promise<{ readonly direct: Session; readonly faulty: Session }> {
  const direct = await world.jarvis.forRepo(directory).sessions.create();
  return { direct, faulty: jarvis.forRepo(directory).sessions.session(direct.id) };
}

describe('through a network that fails', () => {
  it(
    `ends every one of ${TURNS} turns, with what the server stores or a typed error`,
    { timeout: 600_000 },
    async () => {
      world.model.use(({ prompt, step }) =>
        prompt.endsWith('0') && step === 0
          ? [toolCall('bash', { command: `echo ${prompt}`, description: 'Echo' })]
          : [text(`the answer to ${prompt} in some words`, { chunks: 8, delayMs: 25 })],
      );
      const sessions: Awaited<ReturnType<typeof makeSession>>[] = [];
      for (let index = 0; index < REPOS; index++) {
        const { directory } = await world.repo();
        for (let count = 0; count < SESSIONS_PER_REPO; count++) sessions.push(await makeSession(directory));
      }
      const caller = new AbortController();
      let number = 0;
      const faults = setInterval(() => {
        const fault = Object.values(FAULTS)[number++ % Object.keys(FAULTS).length];
        fault?.(proxy.connections(), proxy);
      }, FAULT_EVERY_MS);
      const turns = Array.from({ length: TURNS }, (_, index) => {
        const session = sessions[index % sessions.length];
        if (session === undefined) throw new Error('no session');
        const turn = session.faulty.stream(`turn ${index}`, { signal: caller.signal });
        return { index, session, turn, deltas: collectText(turn) };
      });
      const outcomes = await Promise.allSettled(turns.map(({ turn }) => turn.result));
      clearInterval(faults);

      const answers = new Set<string>();
      const rejected: string[] = [];
      for (const [index, outcome] of outcomes.entries()) {
        const { session, turn, deltas } = turns[index] ?? expect.fail('no turn');
        const stored = await session.direct.messages();
        const own = stored.filter(
          ({ info }) => info.role === 'assistant' && info.parentID === turn.messageID,
        );
        if (outcome.status === 'fulfilled') {
          const result: TurnResult = outcome.value;
          expect(result.messages).toEqual(own);
          expect({ info: result.message, parts: result.parts }).toEqual(own.at(-1));
          expect(result.text).toBe(`the answer to turn ${index} in some words`);
          expect((await deltas).text).toBe(result.text);
          expect(answers.has(result.message.id)).toBe(false);
          answers.add(result.message.id);
          // Sent once: a message id that is sent again gets its parts a second time.
          expect(stored.find(({ info }) => info.id === turn.messageID)?.parts).toHaveLength(1);
        } else {
          expect(outcome.reason).toBeInstanceOf(JarvisError);
          rejected.push(`turn ${index}: ${String(outcome.reason)}`);
          // What the server has answered is not given up for lost.
          expect(own.map(({ info }) => info.role === 'assistant' && info.finish)).not.toContain('stop');
        }
      }
      console.log(
        `${answers.size} turns answered, ${rejected.length} rejected, ${number} faults, ${proxy.accepted} connections`,
        rejected,
      );
      expect(answers.size).toBeGreaterThan(TURNS / 2);
      expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
      for (const { holds } of jarvis.repos()) expect(holds.filter(({ kind }) => kind === 'turn')).toEqual([]);
    },
  );

  it('tells subscribers about each gap, and what changed in it', async () => {
    const { directory } = await world.repo();
    const { direct, faulty } = await makeSession(directory);
    const gate = deferred();
    world.model.use(() => [text('begun '), waitFor(gate.promise), text('ended')]);
    await using events = jarvis.forRepo(directory).events();
    await events.ready;
    const turn = faulty.stream('go on');
    await until(
      async () => (await world.jarvis.forRepo(directory).sessions.status())[direct.id]?.type === 'busy',
    );
    await until(() =>
      jarvis
        .forRepo(directory)
        .stats()
        .holds.some(({ kind }) => kind === 'session-busy'),
    );
    // Nothing gets through until the turn has ended on the server.
    for (const connection of proxy.connections()) connection.halfOpen();
    proxy.onConnection = (connection) => connection.hold();
    gate.resolve();
    await until(
      async () => (await world.jarvis.forRepo(directory).sessions.status())[direct.id] === undefined,
    );
    proxy.onConnection = () => undefined;
    for (const connection of proxy.connections()) connection.cut();
    for await (const event of events) {
      if (event.type !== 'jarvis.gap') continue;
      // What is left of the test before may make a gap of its own.
      if (event.properties.changed.every(({ idle }) => idle.length === 0)) continue;
      expect(event.properties).toMatchObject({
        reason: 'reconnect',
        dropped: 0,
        changed: [{ directory, busy: [], idle: [direct.id], asked: [], answered: [] }],
      });
      break;
    }
    expect((await turn.result).text).toBe('begun ended');
  });

  it(
    'answers a turn soon although every connection for requests has become half open',
    { timeout: 45_000 },
    async () => {
      const { directory } = await world.repo();
      const { direct, faulty } = await makeSession(directory);
      const gate = deferred();
      world.model.use(() => [text('begun '), waitFor(gate.promise), text('ended')]);
      const turn = faulty.stream('go on');
      const isBusy = async (): Promise<boolean> =>
        (await world.jarvis.forRepo(directory).sessions.status())[direct.id] !== undefined;
      await until(isBusy);
      const halfOpen = proxy.connections().filter((each) => !isEvents(each));
      expect(halfOpen).not.toEqual([]);
      for (const connection of halfOpen) connection.halfOpen();
      gate.resolve();
      expect((await turn.result).text).toBe('begun ended');
      for (const connection of halfOpen) connection.cut();
    },
  );

  it.each([
    ['never arrives', 0],
    ['arrives twice', 2],
  ])('stores a prompt once when its first request %s', async (_how, copies) => {
    const { directory } = await world.repo();
    const { direct } = await makeSession(directory);
    world.model.use(() => [text('once')]);
    let prompts = 0;
    const { url, authorization } = world.jarvis.server as RealServer;
    const password =
      Buffer.from(authorization.replace('Basic ', ''), 'base64').toString().split(':')[1] ?? '';
    await using client = await JarvisOpenCode.connect({
      url,
      password,
      idle: false,
      fetch: async (input, init) => {
        if (!new Request(input, init).url.endsWith('/prompt_async') || prompts++ > 0)
          return fetch(input, init);
        for (let copy = 0; copy < copies; copy++) await fetch(input, init);
        throw new TypeError('the connection was reset');
      },
    });
    const turn = client.forRepo(directory).sessions.session(direct.id).stream('x');
    expect((await turn.result).text).toBe('once');
    expect(prompts).toBe(copies === 0 ? 2 : 1);
    const stored = await direct.messages();
    expect(stored.map(({ info }) => info.role)).toEqual(['user', 'assistant']);
    expect(stored[0]).toMatchObject({ info: { id: turn.messageID }, parts: [{ type: 'text', text: 'x' }] });
  });

  it('leaves no socket open when the client is closed', async () => {
    await jarvis.close();
    await until(() => proxy.connections().length === 0, { what: 'all connections to be closed' });
  });
});

/** All text that a turn streams; whatever it ends with. */
async function collectText(
  turn: AsyncIterable<{ readonly type: string }>,
): Promise<{ readonly text: string }> {
  let all = '';
  try {
    for await (const step of turn) if (step.type === 'text' && 'delta' in step) all += String(step.delta);
  } catch (error) {
    if (!(error instanceof TurnError || error instanceof JarvisError)) throw error;
  }
  return { text: all };
}
