import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JarvisOpenCode, type SessionInfo } from 'jarvis-opencode';
import { text, type MockScript } from 'jarvis-opencode/testing';
import { conversations, type SessionFacts } from '../../src/testing/real/conversations.js';
import { gitRepo, type GitRepo, type GitRepoOptions } from '../support/git-repo.js';
import { realServerOptions, spawnPlainOpenCode } from '../support/real-opencode.js';
import { wireFetch } from './wire-fetch.js';
import { ODD_NAME, type World } from './worlds.js';

/** A real server of its own with a scripted model. */
export async function openRealWorld(): Promise<World> {
  let current: MockScript = () => [];
  let summarize: MockScript = () => [text('Scripted summary')];
  const password = 'a password of ü';
  const factsOf = async (sessionID: string): Promise<SessionFacts> => {
    const response = await wireFetch(server.url, password, `/session/${sessionID}`);
    const { id, title, parentID, directory } = (await response.json()) as SessionInfo;
    return { session: { id, title, parentID }, directory, rules: undefined };
  };
  const real = await realServerOptions({
    script: conversations((input) => current(input), factsOf),
    answers: {
      title: (prompt) => prompt.split('\n', 1)[0] ?? '',
      summary: conversations((input) => summarize(input), factsOf),
    },
  });
  const clients: JarvisOpenCode[] = [];
  const repos: GitRepo[] = [];
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
    summary: (script) => {
      summarize = script;
    },
    repo: () => repo(),
    clones: async () => {
      const first = await repo();
      return [first, await repo({ cloneOf: { directory: first } })];
    },
    oddRepo: () => repo({ name: ODD_NAME }),
    repoNamed: (name) => repo({ name }),
    breakRepo: async (directory) => {
      const file = join(directory, 'opencode.json');
      await writeFile(file, '{');
      return () => rm(file);
    },
    close,
  };
}
