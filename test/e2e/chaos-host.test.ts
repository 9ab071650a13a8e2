import { randomUUID } from 'node:crypto';
import { queryObjects } from 'node:v8';
import { JarvisOpenCode, type StartOptions } from 'jarvis-opencode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventHub } from '../../src/client/events/hub.js';
import type { GuardKinds } from '../../src/lifecycle/guards/guards.js';
import { HealthMonitor } from '../../src/lifecycle/server/health.js';
import { OwnedServer } from '../../src/lifecycle/server/owned-server.js';
import { fakeServer, type FakeServer } from '../support/fixtures.js';
import { startHost, type HostProcess } from '../support/host-process.js';
import { descendantsOf, endProcessesWith, processesWith, waitForNone } from '../support/processes.js';
import { until } from '../support/wait.js';

// How a process that uses the library may end, and what must then be left of its servers: nothing.

/** In the environment of every server of a test. */
let marker: string;

beforeEach(() => {
  marker = randomUUID();
});

afterEach(async () => {
  const left = await endProcessesWith(marker, { graceMs: 0 });
  expect(left, 'processes that the test left behind').toEqual([]);
});

const optionsOf = (name: FakeServer): StartOptions => ({
  command: fakeServer(name),
  env: { JARVIS_TEST_MARKER: marker },
});

const REAPER: GuardKinds = { parentDeath: false, reaper: true, record: false };

function hostOf(body: string, name: FakeServer = 'spawns-child', guards?: GuardKinds): HostProcess {
  return startHost(body, { options: optionsOf(name), ...(guards && { guards }) });
}

async function expectNothingLeft(host: HostProcess): Promise<void> {
  await waitForNone(marker);
  await host.childrenGone();
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

describe('a host that does not listen for signals', () => {
  it.each(SIGNALS)('ends a host by %s as it would end alone, after its server', async (signal) => {
    await using host = hostOf(
      `const jarvis = await start();
       jarvis.server.on('state', say);
       say('ready');
       setInterval(() => {}, 1000);`,
    );
    await host.hears('ready');
    host.kill(signal);
    expect(await host.ended).toEqual({ code: null, signal });
    expect(host.said()).toEqual(['ready', 'stopping', 'stopped']);
    expect(processesWith(marker)).toEqual([]);
    await expectNothingLeft(host);
  });

  it('ends a host at once by a second signal', async () => {
    await using host = hostOf(
      `const jarvis = await start();
       jarvis.server.on('state', say);
       say('ready');
       setInterval(() => {}, 1000);`,
      'ignores-sigterm',
    );
    await host.hears('ready');
    host.kill('SIGINT');
    await host.hears('stopping');
    host.kill('SIGINT');
    expect(await host.ended).toEqual({ code: null, signal: 'SIGINT' });
    expect(host.said()).toEqual(['ready', 'stopping']);
    await expectNothingLeft(host);
  });

  it('lets running work end first by onSignal, and ends at once by a second signal', async () => {
    const body = (work: string): string =>
      `const jarvis = await JarvisOpenCode.start({ ...options, onSignal: { drainMs: 600_000 } });
       jarvis.server.on('state', say);
       const isDraining = () => jarvis.map([], () => 1).then(() => false, (error) => error.isDraining);
       jarvis.forRepo('/').use(async () => {
         say('ready');
         while (!(await isDraining())) await new Promise((resolve) => setTimeout(resolve, 20));
         say('draining');
         ${work}
       });`;
    await using patient = hostOf(body(`say('done');`));
    await patient.hears('ready');
    patient.kill('SIGTERM');
    expect(await patient.ended).toEqual({ code: null, signal: 'SIGTERM' });
    expect(patient.said()).toEqual(['ready', 'draining', 'done', 'stopping', 'stopped']);
    await expectNothingLeft(patient);

    await using busy = hostOf(body('await new Promise(() => {});'));
    await busy.hears('ready');
    busy.kill('SIGINT');
    await busy.hears('draining');
    busy.kill('SIGINT');
    expect(await busy.ended).toEqual({ code: null, signal: 'SIGINT' });
    expect(busy.said()).toEqual(['ready', 'draining']);
    await expectNothingLeft(busy);
  });

  it('ends a host by a signal while its server starts', async () => {
    await using host = hostOf(
      `start().catch((error) => say(error.name));
       say('starting');
       setInterval(() => {}, 1000);`,
      'silent',
    );
    await host.hears('starting');
    await until(() => processesWith(marker).length > 0);
    host.kill('SIGTERM');
    expect((await host.ended).signal).toBe('SIGTERM');
    await expectNothingLeft(host);
  });

  it('listens for signals without a break until the server is closed', async () => {
    await using host = hostOf(
      `process.on('removeListener', (name) => { if (name === 'SIGTERM') say('a break'); });
       const jarvis = await start();
       say('ready');
       await jarvis.close();
       say('closed');`,
    );
    expect(await host.ended).toEqual({ code: 0, signal: null });
    expect(host.said()).toEqual(['ready', 'a break', 'closed']);
    await expectNothingLeft(host);
  });

  it('stops all 8 servers of a host with one listener per signal', async () => {
    await using host = hostOf(
      `const count = () => ['exit', 'SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => process.listenerCount(name));
       const before = count();
       await Promise.all(Array.from({ length: 8 }, start));
       say(count().map((after, index) => after - before[index]).join());
       say('ready');
       setInterval(() => {}, 1000);`,
    );
    await host.hears('ready');
    // One listener of each kind for all of them.
    expect(host.said()[0]).toBe('1,1,1,1');
    host.kill('SIGTERM');
    expect((await host.ended).signal).toBe('SIGTERM');
    await expectNothingLeft(host);
  });
});

describe('a host that listens for a signal itself', () => {
  it('leaves the end to a host that listens for the signal itself', async () => {
    await using host = hostOf(
      `process.on('SIGTERM', () => say('mine'));
       const jarvis = await start();
       process.on('SIGINT', async () => {
         say((await jarvis.global.health()).version);
         await jarvis.close();
         process.exit(5);
       });
       say('ready');
       setInterval(() => {}, 1000);`,
    );
    await host.hears('ready');
    host.kill('SIGTERM');
    await host.hears('mine');
    host.kill('SIGINT');
    expect(await host.ended).toEqual({ code: 5, signal: null });
    expect(host.said()).toEqual(['ready', 'mine', '1.18.33']);
    await expectNothingLeft(host);
  });

  it('ends a host by a second signal when it listened for only one', async () => {
    await using host = hostOf(
      `const jarvis = await start();
       process.once('SIGTERM', () => say('mine'));
       say('ready');
       setInterval(() => {}, 1000);`,
    );
    await host.hears('ready');
    host.kill('SIGTERM');
    await host.hears('mine');
    host.kill('SIGTERM');
    expect(await host.ended).toEqual({ code: null, signal: 'SIGTERM' });
    await expectNothingLeft(host);
  });

  it('ends a host in good order by a different signal than the one it handles', async () => {
    await using host = hostOf(
      `const jarvis = await start();
       jarvis.server.on('state', say);
       process.on('SIGHUP', () => say('mine'));
       say('ready');
       setInterval(() => {}, 1000);`,
    );
    await host.hears('ready');
    host.kill('SIGHUP');
    await host.hears('mine');
    host.kill('SIGTERM');
    expect(await host.ended).toEqual({ code: null, signal: 'SIGTERM' });
    expect(host.said()).toEqual(['ready', 'mine', 'stopping', 'stopped']);
    await expectNothingLeft(host);
  });

  // Libraries that clean up at a signal end the process themselves only when nobody else listens.
  it.each(['before', 'after'])(
    'ends a host that ends itself when nobody else listens, registered %s the start',
    async (when) => {
      const listen = `const last = () => {
        if (process.listenerCount('SIGTERM') > 1) return;
        process.off('SIGTERM', last);
        process.kill(process.pid, 'SIGTERM');
      };
      process.on('SIGTERM', last);`;
      await using host = hostOf(
        `${when === 'before' ? listen : ''}
       const jarvis = await start();
       ${when === 'after' ? listen : ''}
       say('ready');
       setInterval(() => {}, 1000);`,
      );
      await host.hears('ready');
      host.kill('SIGTERM');
      expect(await host.ended).toEqual({ code: null, signal: 'SIGTERM' });
      await expectNothingLeft(host);
    },
  );
});

describe('a host leaves nothing', () => {
  it('leaves nothing when the host exits inside of its exit handler', async () => {
    await using host = hostOf(
      `process.on('exit', () => process.exit(7));
       await start();
       say('ready');
       process.exit(0);`,
      'spawns-child',
      { parentDeath: false, reaper: false, record: false },
    );
    await host.hears('ready');
    expect(await host.ended).toEqual({ code: 7, signal: null });
    await expectNothingLeft(host);
  });

  it.each([
    ['warns', '0', 'JARVIS_NOT_CLOSED'],
    ['says no more than its error to', '3', undefined],
  ])('%s a host that ends with code %s without close(), and leaves nothing', async (_what, code, warned) => {
    await using host = hostOf(
      `process.on('warning', ({ code, message }) => { say(code); say(message); });
       await JarvisOpenCode.start(options);
       say('ready');
       process.exit(${code});`,
    );
    expect(await host.ended).toEqual({ code: Number(code), signal: null });
    const [ready, warning, message] = host.said();
    expect([ready, warning]).toEqual(['ready', warned]);
    if (warned !== undefined)
      expect(message).toMatch(/started at \S*host\.mjs:\d+:\d+\..*await jarvis\.close\(\)/);
    await expectNothingLeft(host);
  });

  it.each([
    ['is terminated', `worker.terminate();`, ''],
    ['exits', '', `process.exit(0);`],
    ['throws', `worker.on('error', () => {});`, `throw new Error('unexpected');`],
  ])('leaves nothing when the host is a worker thread that %s', async (_what, inMain, inWorker) => {
    await using host = hostOf(
      `const { isMainThread, parentPort, Worker } = await import('node:worker_threads');
       if (isMainThread) {
         const worker = new Worker(new URL(import.meta.url));
         worker.once('message', (word) => {
           say(word);
           ${inMain}
         });
         worker.once('exit', () => say('over'));
         setInterval(() => {}, 1000);
       } else {
         await start();
         parentPort.postMessage('ready');
         setImmediate(() => { ${inWorker} });
         setInterval(() => {}, 1000);
       }`,
      'spawns-child',
      REAPER,
    );
    await host.hears('ready');
    await host.hears('over');
    await waitForNone(marker);
    expect(processesWith(marker)).toEqual([]);
    // The process itself goes on.
    process.kill(host.pid, 0);
    await until(() => descendantsOf(host.pid).length === 0, { what: 'the end of the reaper' });
  });

  it('leaves nothing when the host is killed while a server of its fleet starts', async () => {
    await using host = hostOf(
      `import { JarvisFleet } from './src/index.ts';
       const fleet = await JarvisFleet.start({ servers: { main: { ...options, start: 'on-demand' } } });
       fleet.server('main').global.health().catch(() => {});
       say('starting');
       setInterval(() => {}, 1000);`,
      'silent',
    );
    await host.hears('starting');
    await until(() => processesWith(marker).length > 0);
    host.kill('SIGKILL');
    await expectNothingLeft(host);
  });

  it('leaves nothing when the host is killed with 8 servers', async () => {
    await using host = hostOf(
      `await Promise.all(Array.from({ length: 8 }, start));
       say('ready');
       setInterval(() => {}, 1000);`,
    );
    await host.hears('ready');
    host.kill('SIGKILL');
    await expectNothingLeft(host);
  });

  it.each(['floods-on-version', 'silent', 'hangs-on-health'] as const)(
    'leaves nothing when the host is killed while its server starts: %s',
    async (name) => {
      await using host = hostOf(
        `start().catch(() => {});
         say('starting');
         setInterval(() => {}, 1000);`,
        name,
        REAPER,
      );
      await host.hears('starting');
      await until(() => processesWith(marker).length > 0, { what: 'a process' });
      host.kill('SIGKILL');
      await expectNothingLeft(host);
    },
  );
});

describe('a server that dies', () => {
  it('leaves nothing of what a dead server ran, before anybody closes it', async () => {
    await using jarvis = await JarvisOpenCode.start({ ...optionsOf('spawns-child'), restart: false });
    await until(() => processesWith(marker).length === 2, { what: 'the child' });
    process.kill(jarvis.server.pid as number, 'SIGKILL');
    await waitForNone(marker);
    expect(await jarvis.server.closed).toEqual({ code: null, signal: 'SIGKILL' });
  });
});

describe('30 starts and stops in a row', () => {
  it('leaves nothing after 30 starts and stops in a row, in this process either', async () => {
    const listeners = (): number[] => ['exit', ...SIGNALS].map((name) => process.listenerCount(name));
    const before = { listeners: listeners(), children: descendantsOf(process.pid).length };
    for (let count = 0; count < 30; count += 1) {
      const jarvis = await JarvisOpenCode.start(optionsOf('ignores-sigterm'));
      await jarvis.close({ graceMs: 0 });
    }
    expect(processesWith(marker)).toEqual([]);
    expect(listeners()).toEqual(before.listeners);
    await until(() => descendantsOf(process.pid).length === before.children, { what: 'the reapers' });
    // Garbage is collected first. Something may still know the last one.
    const countOf = (type: object): number => queryObjects(type as () => void, { format: 'count' });
    const counts = (): number[] => [JarvisOpenCode, OwnedServer, HealthMonitor, EventHub].map(countOf);
    await until(() => Math.max(...counts()) <= 1, { what: 'the clients to be let go of' });
  });
});
