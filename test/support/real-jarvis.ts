import { JarvisOpenCode, type JarvisOptions, type StartOptions } from 'jarvis-opencode';
import type { ScriptedModel } from '../../src/testing/real/scripted-model.js';
import { gitRepo, type GitRepo, type GitRepoOptions } from './git-repo.js';
import { realServerOptions, type RealServerSetup } from './real-opencode.js';

/** A real server, its client, its model, and the repositories made for it. */
export interface RealJarvis extends AsyncDisposable {
  readonly jarvis: JarvisOpenCode;
  readonly model: ScriptedModel;
  /** In the environment of the server and of all its descendants; see `processes.ts`. */
  readonly marker: string;
  /** Makes a git repository that is removed at the end. */
  repo(options?: GitRepoOptions): Promise<GitRepo>;
}

/** Starts a real server with a scripted model; at the end everything is gone, or the test fails. */
export async function realJarvis(
  setup: RealServerSetup &
    JarvisOptions &
    Pick<StartOptions, 'trustProjectConfig' | 'health' | 'restart' | 'port'> = {},
): Promise<RealJarvis> {
  const { script, config, env, ...options } = setup;
  const real = await realServerOptions({
    ...(script && { script }),
    ...(config && { config }),
    ...(env && { env }),
  });
  let jarvis: JarvisOpenCode;
  try {
    jarvis = await JarvisOpenCode.start({ ...real.startOptions, ...options });
  } catch (error) {
    await real.dispose();
    throw error;
  }
  const repos: GitRepo[] = [];
  return {
    jarvis,
    model: real.model,
    marker: real.marker,
    repo: async (repoOptions) => {
      const repo = await gitRepo(repoOptions);
      repos.push(repo);
      return repo;
    },
    async [Symbol.asyncDispose]() {
      await jarvis.close();
      for (const repo of repos) await repo.dispose();
      await real.dispose();
    },
  };
}
