import { setupServer } from 'msw/node';
import { JarvisOpenCode, type JarvisOptions, type SessionInfo } from 'jarvis-opencode';
import { mockOpenCode, type MockScript, type MockStep } from 'jarvis-opencode/testing';
import { conversations, type SessionFacts } from '../../src/testing/real/conversations.js';
import type { ModelScript } from '../../src/testing/real/scripted-model.js';
import { gitRepo, type GitRepo, type GitRepoOptions } from '../support/git-repo.js';
import { realServerOptions } from '../support/real-opencode.js';

/** The binary of OpenCode 2 to run the suite on; set by `npm run test:opencode2`. */
const OPENCODE_2_BIN = process.env['OPENCODE2_BIN'];

/** One server of the client's own, its model, and directories on its disk. */
export interface CoreWorld {
  readonly jarvis: JarvisOpenCode;
  /** Lets the model answer as the script says from now on; it calls tools by their names in OpenCode 1. */
  script(script: MockScript): void;
  /** A git repository of its own project. */
  repo(name?: string): Promise<string>;
  /** Two clones of one repository. */
  clones(): Promise<readonly [string, string]>;
  /** Kills the server; it is started again. */
  crash(): void;
  /** Closes the client and ends the server, with everything that was made for it. */
  close(): Promise<void>;
}

type OpenCoreWorld = (options: JarvisOptions) => Promise<CoreWorld>;

function mockWorld(opencode: 1 | 2): OpenCoreWorld {
  return async (options) => {
    const projects = new Map<string, string>();
    const mock = mockOpenCode({
      opencode,
      models: ['scripted/scripted'],
      projectOf: (directory) => projects.get(directory) ?? directory,
    });
    const server = setupServer(...mock.handlers);
    server.listen({ onUnhandledRequest: 'error' });
    let made = 0;
    const repo = async (name = 'repo'): Promise<string> => `/repos/${++made}/${name}`;
    const end = async (): Promise<void> => {
      await mock.close();
      server.close();
    };
    const jarvis = await JarvisOpenCode.connect({
      ...mock.connectOptions,
      experimental: { opencode2: true },
      ...options,
    }).catch(async (error: unknown) => {
      await end();
      throw error;
    });
    return {
      jarvis,
      script: (script) => mock.script(script),
      repo,
      clones: async () => {
        const clones = [await repo(), await repo()] as const;
        for (const clone of clones) projects.set(clone, clones[0]);
        return clones;
      },
      crash: () => {
        mock.crash();
        mock.restart();
      },
      close: async () => {
        await jarvis.close();
        await end();
      },
    };
  };
}

/** The names of tools that OpenCode 2 has renamed. */
const RENAMED: Readonly<Record<string, string>> = { bash: 'shell', task: 'subagent' };

/** Plays a script with the names of tools that OpenCode 2 has. */
function renamed(script: ModelScript): ModelScript {
  return async function* (turn) {
    for await (const step of script(turn)) {
      const { type } = step;
      yield type === 'tool' ? { ...step, tool: RENAMED[step.tool] ?? step.tool } : step;
    }
  };
}

function realWorld(opencode: 1 | 2): OpenCoreWorld {
  return async (options) => {
    let current: MockScript = (): MockStep[] => [];
    const repos: GitRepo[] = [];
    const factsOf = async (sessionID: string): Promise<SessionFacts> => {
      const prefix = opencode === 2 ? '/api' : '';
      const { url, authorization = '' } = jarvis.server;
      const response = await fetch(`${url}${prefix}/session/${sessionID}`, { headers: { authorization } });
      const answer = (await response.json()) as SessionInfo & {
        readonly data: SessionInfo & { readonly location: { readonly directory: string } };
      };
      const { id, title, parentID } = opencode === 2 ? answer.data : answer;
      const directory = opencode === 2 ? answer.data.location.directory : answer.directory;
      return { session: { id, title, parentID }, directory, rules: undefined };
    };
    const script = conversations((input) => current(input), factsOf);
    const real = await realServerOptions({ script: opencode === 2 ? renamed(script) : script });
    const started = JarvisOpenCode.start({
      ...real.startOptions,
      ...(opencode === 2 && { command: OPENCODE_2_BIN, experimental: { opencode2: true } }),
      ...options,
    });
    const jarvis = await started.catch(async (error: unknown) => {
      await real.dispose();
      throw error;
    });
    const repo = async (repoOptions?: GitRepoOptions): Promise<string> => {
      const made = await gitRepo(repoOptions);
      repos.push(made);
      return made.directory;
    };
    return {
      jarvis,
      script: (next) => {
        current = next;
      },
      repo: (name) => repo(name === undefined ? {} : { name }),
      clones: async () => {
        const first = await repo();
        return [first, await repo({ cloneOf: { directory: first } })];
      },
      crash: () => void process.kill(jarvis.server.pid ?? 0, 'SIGKILL'),
      close: async () => {
        await jarvis.close();
        for (const made of repos) await made.dispose();
        await real.dispose();
      },
    };
  };
}

/** Every server that the core of the library is held to. */
export const coreWorlds: readonly {
  readonly name: string;
  readonly opencode: 1 | 2;
  readonly open: OpenCoreWorld;
}[] = [
  { name: 'the mock of OpenCode 1', opencode: 1, open: mockWorld(1) },
  { name: 'the mock of OpenCode 2', opencode: 2, open: mockWorld(2) },
  OPENCODE_2_BIN === undefined
    ? { name: 'a real OpenCode 1', opencode: 1, open: realWorld(1) }
    : { name: 'a real OpenCode 2', opencode: 2, open: realWorld(2) },
];
