import { setTimeout as sleep } from 'node:timers/promises';
import { formatDiagnosis, JarvisOpenCode } from 'jarvis-opencode';
import { isAlive, processesWith } from '../../test/support/processes.js';
import { Actor } from './actor.js';
import { check } from './check.js';
import type { Screen } from './screen.js';
import type { Stage } from './stage.js';

/** How long a disposed instance is shown before it is woken. */
const PAUSE_MS = 800;
/** How long a disposal may come late on a machine at work. */
const LATE_MS = 10_000;
const POLL_MS = 25;

/**
 * Plays the whole story on a real server and returns what it has shown. Nothing is left running, however it ends.
 *
 * @throws {StoryError} when something did not happen as it must.
 */
export async function play(stage: Stage, screen: Screen, signal: AbortSignal): Promise<string[]> {
  screen.say(`demo: ${stage.title}`);
  const idle = { idleTimeoutMs: stage.idleTimeoutMs };
  const started = screen.wait('starting one OpenCode server …');
  const jarvis = await JarvisOpenCode.start({ ...stage.startOptions, idle, signal }).finally(started);
  const { pid, version } = jarvis.server;
  screen.say(`server: one process of opencode ${version}, pid ${pid}`);
  let shown: string[];
  try {
    for (const line of await diagnosis(jarvis, stage.first.directory)) screen.say(line);
    shown = await playOn(jarvis, stage, screen, signal);
  } finally {
    await jarvis.close();
  }
  screen.say('server: closed');
  check(pid !== undefined && !isAlive(pid), `the server (pid ${pid}) is alive after close()`);
  const left = processesWith(stage.marker);
  check(left.length === 0, `processes of the server are alive after close(): ${left.join(', ')}`);
  return [...shown, `the server is gone${process.platform === 'linux' ? ', and everything it started' : ''}`];
}

/** What may get in the way, and how much was looked at. */
async function diagnosis(jarvis: JarvisOpenCode, directory: string): Promise<string[]> {
  const findings = await jarvis.diagnose({ directory });
  const found = findings.filter(({ level }) => level !== 'ok');
  const lines = found.length === 0 ? [] : formatDiagnosis(found).split('\n');
  return [...lines, `diagnosis: ${findings.length - found.length} of ${findings.length} findings are fine`];
}

async function playOn(
  jarvis: JarvisOpenCode,
  stage: Stage,
  screen: Screen,
  interrupt: AbortSignal,
): Promise<string[]> {
  interrupt.throwIfAborted();
  const story = new AbortController();
  const { signal } = story;
  interrupt.addEventListener('abort', () => story.abort(interrupt.reason), { once: true });
  const first = new Actor(jarvis, stage.first, screen, story);
  const second = new Actor(jarvis, stage.second, screen, story);
  check(first.repo !== second.repo, 'the two repositories are the same directory');
  screen.show(() => [first.row(), second.row()]);
  try {
    // Where nobody can tell how long a turn takes, a lease keeps the second repository in use.
    using _lease = stage.isSecondPaced ? undefined : second.repo.hold('the demo uses it');
    await Promise.all([first.begin(stage), second.begin(stage)]);
    await first.answered();
    const isParallel = first.isStreamedWith(second);
    check(isParallel || !stage.isSecondPaced, 'the two answers were not streamed at the same time');

    const idleSince = performance.now();
    while (first.repo.stats().loaded) {
      const isLate = performance.now() - idleSince > stage.idleTimeoutMs + LATE_MS;
      check(
        !isLate,
        `${first.name} has been idle for ${seconds(performance.now() - idleSince)} and is still loaded`,
      );
      await sleep(POLL_MS, undefined, { signal });
    }
    const idleMs = performance.now() - idleSince;
    const holds = [...new Set(second.repo.stats().holds.map(({ kind }) => kind))].join(', ');
    check(first.repo.stats().disposals.idle === 1, `${first.name} was disposed, but not for being idle`);
    check(second.repo.stats().loaded, `${second.name} was disposed too`);
    check(holds !== '', `${second.name} was not in use any more when ${first.name} was disposed`);
    check(!second.isAnswered || !stage.isSecondPaced, `${second.name} was not busy any more`);
    const busy = second.isAnswered ? 'in use' : 'busy';
    screen.say(
      `${first.name}: disposed after ${seconds(idleMs)} idle while ${second.name} is ${busy} (${holds})`,
    );
    await sleep(PAUSE_MS, undefined, { signal });

    const wokenAt = performance.now();
    screen.say(`${first.name}: is prompted again`);
    first.ask(stage.again);
    await first.answered();
    const wokenMs = performance.now() - wokenAt;
    const { boots } = first.repo.stats();
    check(boots === 2, `${first.name} was loaded ${boots} times, not twice`);
    screen.say(`${first.name}: was woken and has answered within ${seconds(wokenMs)}`);

    stage.finish();
    await second.answered();
    const { boots: secondBoots, disposals } = second.repo.stats();
    check(secondBoots === 1 && disposals.idle === 0, `${second.name} was disposed while it was busy`);
    return [
      `two turns ran${isParallel ? ' and streamed' : ''} at the same time, each in its own repository`,
      `${first.name} was disposed while ${second.name} was ${busy}; the next prompt woke it and its session went on`,
      first.proof(),
      second.proof(),
    ];
  } catch (error) {
    // The first cause counts, not what it led to.
    throw signal.aborted ? signal.reason : error;
  } finally {
    story.abort();
    if (stage.deletesSessions) await Promise.allSettled([first.leave(), second.leave()]);
    screen.end();
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
