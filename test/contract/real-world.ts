import { JarvisOpenCode } from 'jarvis-opencode';
import type { MockStep } from 'jarvis-opencode/testing';
import { gitRepo, type GitRepo, type GitRepoOptions } from '../support/git-repo.js';
import { realServerOptions, spawnPlainOpenCode } from '../support/real-opencode.js';
import * as model from '../support/scripted-model.js';
import { wireFetch } from './wire-fetch.js';
import { ODD_NAME, type ContractScript, type World } from './worlds.js';

/** A real server of its own with a scripted model. */
export async function openRealWorld(): Promise<World> {
  let current: ContractScript = () => [];
  const real = await realServerOptions({ script: (turn) => modelSteps(current, turn) });
  const clients: JarvisOpenCode[] = [];
  const repos: GitRepo[] = [];
  const password = 'a password of ü';
  const server = await spawnPlainOpenCode({ ...real.startOptions, password }).catch(
    async (error: unknown) => {
      await real.dispose();
      throw error;
    },
  );

  const connect: World['connect'] = async (options) => {
    const jarvis = await JarvisOpenCode.connect({ url: server.url, password, ...options });
    clients.push(jarvis);
    return jarvis;
  };
  const repo = async (options?: GitRepoOptions): Promise<string> => {
    const made = await gitRepo(options);
    repos.push(made);
    return made.directory;
  };

  const close = async (): Promise<void> => {
    try {
      for (const client of clients) await client.close();
    } finally {
      await server.stop();
      for (const made of repos) await made.dispose();
      await real.dispose();
    }
  };

  const jarvis = await connect({ idle: false }).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    jarvis,
    connect,
    fetch: (path, request) => wireFetch(server.url, password, path, request),
    script: (script) => {
      current = script;
    },
    repo: () => repo(),
    clones: async () => {
      const first = await repo();
      return [first, await repo({ cloneOf: { directory: first } })];
    },
    oddRepo: () => repo({ name: ODD_NAME }),
    close,
  };
}

/** What one call of the model has to say: the script is cut where a text follows a tool. */
function modelSteps(script: ContractScript, turn: model.ModelTurn): model.Step[] {
  let toolsBefore = 0;
  let tools = 0;
  const steps: model.Step[] = [];
  for (const step of script({ prompt: turn.prompt })) {
    if (step.type === 'text' && tools > toolsBefore) toolsBefore = tools;
    if (step.type === 'tool') tools += 1;
    if (toolsBefore === turn.step) steps.push(modelStep(step));
  }
  return steps;
}

function modelStep(step: MockStep): model.Step {
  switch (step.type) {
    case 'text':
      return model.text(step.text, { chunks: step.chunks ?? step.text.split(' ').length, delayMs: 5 });
    case 'tool':
      // The real tool runs: a script has to say what it will put out.
      return model.toolCall(step.tool, step.input);
    case 'wait':
      return model.wait(step.ms);
    case 'wait-for':
      return model.waitFor(Promise.resolve(step.gate));
    case 'fail':
      return model.fail(400, { error: { message: step.message, type: step.name } });
    case 'hang':
      return model.hang();
  }
}
