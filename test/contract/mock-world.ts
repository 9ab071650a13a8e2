import { setupServer } from 'msw/node';
import { JarvisOpenCode } from 'jarvis-opencode';
import { mockOpenCode, type MockTerminalProgram } from 'jarvis-opencode/testing';
import { wireFetch } from './wire-fetch.js';
import { ODD_NAME, type World } from './worlds.js';

/** What the commands of {@link LINE_PROGRAM} do. */
const lineProgram: MockTerminalProgram = (terminal) => {
  let size = '';
  terminal.onResize(({ rows, cols }) => (size = `${rows} ${cols}`));
  terminal.onInput((text) => {
    const line = text.replace(/\r$/, '');
    if (line === 'bye') terminal.exit(3);
    else terminal.write(line === 'size' ? `${size}\r\n` : `<${line}>\r\n`);
  });
  terminal.write('ready 🦊\r\n');
};

/** The mock behind msw; whatever else is requested is an error. */
export async function openMockWorld(): Promise<World> {
  const password = 'a password of ü';
  const projects = new Map<string, string>();
  const mock = mockOpenCode({
    password,
    projectOf: (directory) => projects.get(directory) ?? directory,
    models: ['scripted/scripted'],
    terminal: lineProgram,
  });
  const server = setupServer(...mock.handlers);
  server.listen({ onUnhandledRequest: 'error' });
  const clients: JarvisOpenCode[] = [];
  let made = 0;

  const connect: World['connect'] = async (options) => {
    const jarvis = await JarvisOpenCode.connect({ ...mock.connectOptions, ...options });
    clients.push(jarvis);
    return jarvis;
  };
  const directory = (name: string): string => `/repos/${++made}/${name}`;

  return {
    jarvis: await connect({ idle: false }),
    connect,
    fetch: (path, request) => wireFetch(mock.url, password, path, request),
    script: (script) => mock.script(script),
    summary: (script) => mock.script(script, { summary: true }),
    repo: async () => directory('repo'),
    clones: async () => {
      const clones = [directory('clone'), directory('clone')] as const;
      for (const clone of clones) projects.set(clone, `project of ${clones[0]}`);
      return clones;
    },
    oddRepo: async () => directory(ODD_NAME),
    repoNamed: async (name) => directory(name),
    breakRepo: async (broken) => {
      const fault = mock.breakRepo(broken);
      return async () => fault[Symbol.dispose]();
    },
    close: async () => {
      for (const client of clients) await client.close();
      await mock.close();
      server.close();
    },
  };
}
