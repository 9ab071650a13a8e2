import { expect, it } from 'vitest';
import type { FleetSnapshot, JarvisFleet } from 'jarvis-opencode';
import { mockOpenCode } from 'jarvis-opencode/testing';
import { fakeClock } from '../../support/fake-clock.js';
import { mocksIn, requestsToMocks } from '../../support/mock-fleets.js';
import { randomOf } from '../../support/random.js';
import { until } from '../../support/wait.js';

const NAMES = ['main', 'heavy', 'spare'] as const;
type Name = (typeof NAMES)[number];

const mocksOf = mocksIn(requestsToMocks());

it('keeps each repository and each conversation on its server through any 500 steps', async () => {
  const random = randomOf(29);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const clock = fakeClock();
  const mocks = mocksOf({ main: mockOpenCode(), heavy: mockOpenCode(), spare: mockOpenCode() });
  for (const name of NAMES) mocks.mocks[name].reply(`of ${name}`);
  const start = (restore?: FleetSnapshot): Promise<JarvisFleet<Name>> =>
    mocks.client({
      clock,
      restore,
      profiles: { main: { start: 'on-demand' } },
      route: () => (random() < 0.5 ? undefined : pick(NAMES)),
    });
  const directories = Array.from({ length: 12 }, (_, index) => `/srv/r${index}`);
  const chats = Array.from({ length: 20 }, (_, index) => `chat ${index}`);
  /** What the model knows. */
  const placed = new Map<string, string>();
  const bound = new Map<string, { readonly sessionID: string; readonly directory: string }>();
  const done = { moves: 0, crashes: 0, sleeps: 0, restores: 0, prompts: 0, refusals: 0 };
  let fleet = await start();

  const refused = async (action: () => unknown, code: string): Promise<void> => {
    done.refusals += 1;
    await expect((async () => action())()).rejects.toMatchObject({ code });
  };
  /** The route decides once; from then on the model knows where it is. */
  const learn = (directory: string): void => {
    const placement = fleet.snapshot().placements.find((each) => each.directory === directory);
    placed.set(directory, placement?.server ?? 'none');
  };
  const use = async (directory: string, chat: string): Promise<void> => {
    const server = random() < 0.7 ? undefined : pick(NAMES);
    const at = placed.get(directory);
    if (server !== undefined && at !== undefined && at !== server) {
      return refused(() => fleet.forRepo(directory, { server }), 'REPO_PLACED');
    }
    const repo = fleet.forRepo(directory, server === undefined ? {} : { server });
    if (at === undefined) learn(directory);
    const known = bound.get(chat);
    if (known !== undefined && known.directory !== directory) {
      const isOnThisServer = placed.get(known.directory) === placed.get(directory);
      return refused(
        () => repo.sessions.open(chat),
        isOnThisServer ? 'SESSION_DIRECTORY' : 'SESSION_ALREADY_BOUND',
      );
    }
    const session = await repo.sessions.open(chat);
    expect(session.id).toBe(known?.sessionID ?? session.id);
    bound.set(chat, { sessionID: session.id, directory });
  };
  const prompt = async (chat: string): Promise<void> => {
    const binding = bound.get(chat);
    if (binding === undefined) return refused(() => fleet.forSession(chat), 'SESSION_NOT_BOUND');
    done.prompts += 1;
    const { text } = await fleet.forSession(chat).prompt('?');
    expect(text).toBe(`of ${placed.get(binding.directory)}`);
  };
  const place = async (directory: string): Promise<void> => {
    const to = pick(NAMES);
    const force = random() < 0.5;
    const left = [...bound].filter(([, binding]) => binding.directory === directory);
    const isMove = placed.has(directory) && placed.get(directory) !== to;
    if (isMove && left.length > 0 && !force) {
      return refused(() => fleet.place(directory, to), 'REPO_BOUND');
    }
    await fleet.place(directory, to, { force: true });
    placed.set(directory, to);
    if (isMove) {
      done.moves += 1;
      for (const [chat] of left) bound.delete(chat);
    }
  };
  const crash = async (name: Name): Promise<void> => {
    const overview = () => fleet.servers().find((server) => server.name === name);
    const before = overview();
    if (before?.state !== 'ready') return;
    done.crashes += 1;
    mocks.crash(name);
    mocks.restart(name);
    // Over with the pause before the next start, and with the time in which starts are counted.
    await until(() => {
      clock.advance(3_600_000);
      return overview()?.state === 'ready' && overview()?.starts === before.starts + 1;
    });
  };
  const sleep = async (name: Name): Promise<void> => {
    if (fleet.servers().find((server) => server.name === name)?.held !== 0) return;
    done.sleeps += 1;
    await mocks.sleep(name);
  };
  const restore = async (): Promise<void> => {
    done.restores += 1;
    const stored = JSON.parse(JSON.stringify(fleet.snapshot())) as FleetSnapshot;
    await fleet.close();
    fleet = await start(stored);
    expect(fleet.snapshot()).toEqual(stored);
    expect(fleet.servers().map(({ starts }) => starts)).toEqual([0, 0, 0]);
  };

  for (let step = 0; step < 500; step += 1) {
    const kind = random();
    if (kind < 0.6) await use(pick(directories), pick(chats));
    else if (kind < 0.8) await prompt(pick(chats));
    else if (kind < 0.9) await place(pick(directories));
    else if (kind < 0.93) await crash(pick(NAMES));
    else if (kind < 0.98) await sleep(pick(NAMES));
    else await restore();
    const { placements } = fleet.snapshot();
    expect(new Map(placements.map(({ directory, server }) => [directory, server]))).toEqual(placed);
    expect(placements).toHaveLength(placed.size);
    for (const { directory, server } of fleet.repos()) expect(server).toBe(placed.get(directory));
    expect(
      new Map(
        fleet.sessions
          .list()
          .map(({ jarvisSessionID, sessionID, directory }) => [jarvisSessionID, { sessionID, directory }]),
      ),
    ).toEqual(bound);
  }
  for (const [what, count] of Object.entries(done)) expect([what, count > 4]).toEqual([what, true]);
}, 120_000);
