import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StartOptions } from 'jarvis-opencode';
import type { ModelStep } from '../../src/testing/real/model-steps.js';
import type { ModelTurn } from '../../src/testing/real/model-turn.js';
import { mcpServer } from '../../test/support/fixtures.js';
import { gitRepo } from '../../test/support/git-repo.js';
import { text, toolCall } from '../../test/support/model-steps.js';
import { realServerOptions } from '../../test/support/real-opencode.js';
import type { Desk } from './desk.js';

/** Where the desk stands: its repositories, and how the server is started. */
export interface DeskStage extends AsyncDisposable {
  /** Directories by name. */
  readonly repos: ReadonlyMap<string, string>;
  readonly options: StartOptions;
  readonly idleTimeoutMs: number;
  /** Milliseconds after which the script answers itself what nobody else has answered; `undefined` where there is no script. */
  readonly answerAfterMs: number | undefined;
  /** Begins to prompt by itself, where a script does that. */
  play(desk: Desk, signal: AbortSignal): void;
}

const NAMES = ['shop', 'blog', 'docs', 'infra'];
const MAX_LOADED = 3;

/** What the script asks, and how its model answers: it reads a file, runs a command, asks the user, or only talks. */
const QUESTIONS = [
  { prompt: 'What is this project?', tool: 'read' },
  { prompt: 'Run the tests and tell me what fails.', tool: 'bash' },
  { prompt: 'Explain the release process.', tool: undefined },
  { prompt: 'Which colour should the button have?', tool: 'question' },
] as const;

const ANSWERS = {
  read: 'It says so in its README: a small service with a clear purpose, no surprises, and tests for every promise that it makes.',
  bash: 'All tests pass. I ran them twice, once in order and once shuffled, and found nothing that depends on the order.',
  question: 'Noted. I use that colour for the button, its focus ring and the two states that follow from it.',
  talk: 'You cut a release by three steps: write the change into the changelog, tag the commit, and let the pipeline publish what it built.',
};

/** Four new repositories with two MCP servers each, and a model that follows the script. */
export async function scriptedStage(): Promise<DeskStage> {
  const repos = await Promise.all(
    NAMES.map((name) => gitRepo({ name, files: { 'README.md': `# The ${name}\n` } })),
  );
  const real = await realServerOptions({
    config: { mcp: { notes: mcpServer(), search: mcpServer() }, permission: { bash: 'ask' } },
    script: answer,
  });
  const idleTimeoutMs = 10_000;
  return {
    repos: new Map(NAMES.map((name, index) => [name, repos[index]?.directory ?? ''])),
    options: {
      ...real.startOptions,
      idle: { idleTimeoutMs, maxLoaded: MAX_LOADED },
      permissions: 'ask',
      questions: 'ask',
    },
    idleTimeoutMs,
    answerAfterMs: 12_000,
    play: (desk, signal) => void play(desk, signal).catch(() => undefined),
    async [Symbol.asyncDispose]() {
      await real.dispose();
      for (const repo of repos) await repo.dispose();
    },
  };
}

/** Repositories of the user, with the user's configuration. Nothing is prompted by itself. */
export function ownStage(paths: readonly string[]): DeskStage {
  const idleTimeoutMs = 60_000;
  const directories = [...new Set(paths.map((path) => realpathSync(path)))];
  const nameOf = (directory: string, index: number): string => {
    const name = basename(directory);
    return directories.findIndex((other) => basename(other) === name) === index
      ? name
      : `${name} ${index + 1}`;
  };
  return {
    repos: new Map(directories.map((directory, index) => [nameOf(directory, index), directory])),
    options: { idle: { idleTimeoutMs, maxLoaded: MAX_LOADED }, permissions: 'ask', questions: 'ask' },
    idleTimeoutMs,
    answerAfterMs: undefined,
    play: (desk) => {
      desk.isPlaying = false;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Prompts one repository after the other, for ever. */
async function play(desk: Desk, signal: AbortSignal): Promise<void> {
  for (let turn = 0; ; turn += 1) {
    await sleep(2_500, undefined, { signal });
    const repo = NAMES[turn % NAMES.length] ?? '';
    const question = QUESTIONS[(turn + Math.floor(turn / NAMES.length)) % QUESTIONS.length];
    if (!desk.isPlaying || question === undefined || desk.isBusy(`${repo}/By itself`)) continue;
    // A server that restarts, or a desk that closes, ends this prompt and not the play.
    await desk.prompt(repo, 'By itself', question.prompt).catch(() => undefined);
  }
}

function* answer({ prompt, step }: ModelTurn): Generator<ModelStep> {
  const question = QUESTIONS.find((each) => prompt.includes(each.prompt));
  const tool = question?.tool;
  if (step === 0 && tool === 'read') yield toolCall('read', { filePath: 'README.md' });
  else if (step === 0 && tool === 'bash') {
    yield toolCall('bash', { command: 'echo "42 passed"', description: 'Run the tests' });
  } else if (step === 0 && tool === 'question') {
    const options = ['Blue', 'Green'].map((label) => ({ label, description: `${label}, as in the logo` }));
    yield toolCall('question', { questions: [{ question: 'Which colour?', header: 'Colour', options }] });
  } else if (question === undefined) {
    yield text(`You said: ${prompt}`, { chunks: 8, delayMs: 60 });
  } else {
    yield text(ANSWERS[tool ?? 'talk'], { chunks: 24, delayMs: 120 });
  }
}
