import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ModelStep } from '../../src/testing/real/model-steps.js';
import type { ModelTurn } from '../../src/testing/real/model-turn.js';
import { waitFor } from '../../src/testing/script/steps.js';
import { gitRepo } from '../../test/support/git-repo.js';
import { realServerOptions } from '../../test/support/real-opencode.js';
import { text, toolCall } from '../../test/support/model-steps.js';
import { deferred } from '../../test/support/wait.js';
import type { Stage } from './stage.js';

const TITLES = { alpha: 'Alpha, a calculator', beta: 'Beta, a calendar' };
const AGAIN = 'What was my first question?';
const WORDS = 'still reading, file after file, and writing down what each of them is for, '.split(/(?<= )/);

/**
 * Two new repositories, a model that follows a script, and a server that shares nothing with this machine's user.
 *
 * @throws {Error} where no OpenCode 2 can be had.
 */
export async function scriptedStage(opencode: 1 | 2 = 1): Promise<Stage> {
  const own = opencode === 2 ? { command: openCode2(), experimental: { opencode2: true } } : {};
  const script = new Script();
  const alpha = await gitRepo({ name: 'alpha', files: { 'README.md': `# ${TITLES.alpha}\n` } });
  const beta = await gitRepo({ name: 'beta', files: { 'README.md': `# ${TITLES.beta}\n` } });
  const real = await realServerOptions({ script: (turn) => script.answer(turn) });
  return {
    title: 'two new git repositories, a scripted model on loopback, no key, no network',
    startOptions: { ...real.startOptions, ...own },
    idleTimeoutMs: 1_500,
    limitMs: 50_000,
    marker: real.marker,
    session: {},
    first: {
      name: 'alpha',
      directory: alpha.directory,
      prompt: ask('What is alpha?'),
      expected: TITLES.alpha,
    },
    again: { prompt: ask(AGAIN), expected: 'What is alpha?' },
    second: {
      name: 'beta',
      directory: beta.directory,
      prompt: ask('What is beta, in every detail?'),
      expected: TITLES.beta,
    },
    isSecondPaced: true,
    finish: () => script.finish(),
    deletesSessions: false,
    [Symbol.asyncDispose]: async () => {
      try {
        await real.dispose();
      } finally {
        await alpha.dispose();
        await beta.dispose();
      }
    },
  };
}

/** The path of a binary, which is downloaded when it is missing. */
function openCode2(): string {
  const script = fileURLToPath(new URL('../../scripts/get-opencode2.sh', import.meta.url));
  return execFileSync(script, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
}

/** What the model says. Each first turn reads the README of its own repository and quotes its title. */
class Script {
  readonly #asked = new Set<string>();
  readonly #bothAsked = deferred();
  #isFinished = false;

  finish(): void {
    this.#isFinished = true;
  }

  async *answer(turn: ModelTurn): AsyncGenerator<ModelStep> {
    if (turn.prompt.includes(AGAIN)) {
      yield text(`It was: ${firstQuestion(turn)}`, { chunks: 10, delayMs: 40 });
      return;
    }
    if (turn.step === 0) {
      // Each major version reads the name that it knows.
      yield toolCall('read', { filePath: 'README.md', path: 'README.md' });
      return;
    }
    // The two answers are streamed at the same time, however fast the machine is.
    this.#asked.add(turn.prompt);
    if (this.#asked.size === 2) this.#bothAsked.resolve();
    yield text(`This is ${titleRead(turn)}: `);
    yield waitFor(this.#bothAsked.promise);
    if (turn.prompt.includes('alpha')) {
      yield text('it adds numbers, and it was read in one go.', { chunks: 12, delayMs: 120 });
      return;
    }
    for (let index = 0; !this.#isFinished; index++) {
      yield text(WORDS[index % WORDS.length] ?? '');
      await sleep(150);
    }
    yield text('and that is all.');
  }
}

function titleRead(turn: ModelTurn): string {
  const result = JSON.stringify(turn.messages.findLast(({ role }) => role === 'tool')?.content ?? '');
  return /# ([\w ,]+)/.exec(result)?.[1] ?? 'a repository without a title';
}

function firstQuestion(turn: ModelTurn): string {
  const content = turn.messages.find(({ role }) => role === 'user')?.content ?? '';
  return typeof content === 'string' ? content : content.map((part) => part.text ?? '').join('');
}

function ask(question: string): { parts: [{ type: 'text'; text: string }] } {
  return { parts: [{ type: 'text', text: question }] };
}
