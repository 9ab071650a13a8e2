import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { http, passthrough, type HttpHandler } from 'msw';
import type { SessionInfo } from '../../client/schema/session.js';
import {
  aFunction,
  anObject,
  aString,
  assertOptions,
  positiveMs,
  someStrings,
  type OptionChecks,
} from '../../core/checks.js';
import type { MockScript, ScriptOptions } from '../script/script.js';
import { Scripts } from '../script/script.js';
import { text } from '../script/steps.js';
import { conversations, type SessionFacts } from './conversations.js';
import { makeGitRepository } from './git-repository.js';
import { isolatedEnv } from './isolated-env.js';
import { opencodeConfig, type OpenCodeConfig } from './opencode-config.js';
import { startScriptedModel } from './scripted-model.js';

/** How the real server is started, and how its model answers. */
export interface RealOpenCodeOptions {
  /** How the model answers until `reply()` or `script()` is called. @default every prompt with `ok` */
  readonly script?: MockScript | undefined;
  /**
   * The permissions that every tool asks for, e.g. `['bash', 'edit']`; all others are allowed. A session can have more rules:
   * `sessions.create({ permission: […] })`.
   *
   * @default none
   */
  readonly asks?: readonly string[] | undefined;
  /**
   * The executable, by path or by name on PATH.
   *
   * @default the variable `OPENCODE_BIN`; else the package `opencode-ai` of the project, found from `process.cwd()`, the running script and
   * this library; else `opencode` on PATH, in `~/.opencode/bin` and where package managers put commands
   */
  readonly command?: string | undefined;
  /** OpenCode configuration, as in `opencode.json`; replaces whole top-level keys of the kit's own. @default {} */
  readonly config?: OpenCodeConfig | undefined;
  /** Variables to add to the isolated environment or to replace in it. @default {} */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds until the server must be ready, more than 0. @default 30_000 */
  readonly startTimeoutMs?: number | undefined;
}

const realOptionChecks: OptionChecks<RealOpenCodeOptions> = {
  script: aFunction,
  asks: someStrings,
  command: aString,
  config: anObject,
  env: anObject,
  startTimeoutMs: positiveMs,
};

/** A real server of the user's own `opencode` with a scripted model, and with the mock's scripting API. */
export interface RealServer extends AsyncDisposable {
  /** The origin of the server, on loopback. */
  readonly url: string;
  /** Handlers that let requests to the server through, for a test that also uses msw. */
  readonly handlers: readonly HttpHandler[];
  /** For `JarvisOpenCode.connect(real.connectOptions)`. */
  readonly connectOptions: { readonly url: string; readonly password: string };
  /**
   * Makes a git repository with one commit and no files, a project of its own. `close()` removes it.
   *
   * @param name - the last segment of its path. @default 'repo'
   */
  repo(name?: string): Promise<string>;
  /** Makes the model answer every prompt from now on with this text. */
  reply(answer: string, options?: ScriptOptions): void;
  /**
   * Makes the model answer every prompt from now on by this script.
   *
   * @throws {TypeError} when `script` is not a function.
   */
  script(script: MockScript, options?: ScriptOptions): void;
  /** Stops the server and removes everything that it has written. Idempotent. */
  close(): Promise<void>;
}

/** A started server. */
export interface StartedServer {
  readonly url: string;
  close(): Promise<void>;
}

/** The options that a server is started with. */
export interface RealStart {
  readonly command?: string | undefined;
  readonly startTimeoutMs?: number | undefined;
  readonly password: string;
  readonly cwd: string;
  readonly config: OpenCodeConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Starts a real server with a scripted model on loopback.
 *
 * @param start - starts the server by the library.
 * @throws {TypeError} {@link RangeError} for an invalid option.
 */
export async function startRealServer(
  options: RealOpenCodeOptions,
  start: (options: RealStart) => Promise<StartedServer>,
): Promise<RealServer> {
  assertOptions('realOpenCode()', realOptionChecks, options);
  const { script = () => [text('ok')], asks = [], command, config, env, startTimeoutMs } = options;
  const scripts = new Scripts(script);
  const password = randomBytes(24).toString('base64url');
  const authorization = `Basic ${Buffer.from(`opencode:${password}`).toString('base64')}`;
  const isolated = await isolatedEnv(env);
  let url = '';

  async function factsOf(sessionID: string): Promise<SessionFacts> {
    const response = await fetch(`${url}/session/${sessionID}`, { headers: { authorization } });
    const { id, title, parentID, directory, permission = [] } = (await response.json()) as SessionInfo;
    const asked = asks.map((name) => ({ permission: name, pattern: '*', action: 'ask' as const }));
    // When the test configures permissions itself, the rules are unknown here.
    const rules = config?.['permission'] === undefined ? [...asked, ...permission] : undefined;
    return { session: { id, title, parentID }, directory, rules };
  }

  const model = await startScriptedModel(conversations(scripts.play, factsOf), {
    title: (prompt) => prompt.split('\n', 1)[0]?.slice(0, 50) ?? '',
    summary: conversations(scripts.summarize, factsOf),
  });
  const release = async (): Promise<void> => {
    await model.close();
    await isolated.dispose();
  };
  const permission = { '*': 'allow', ...Object.fromEntries(asks.map((name) => [name, 'ask'])) };
  // Removes the whole environment of this process from that of the server.
  const removed = Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]));
  const server = await start({
    command,
    startTimeoutMs,
    password,
    // The server resolves relative paths against its directory.
    cwd: isolated.root,
    config: opencodeConfig(model, { permission, ...config }),
    env: { ...removed, ...isolated.env },
  }).catch(async (error: unknown) => {
    await release();
    throw error;
  });
  url = server.url;
  let repos = 0;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= server.close().finally(release));

  return {
    url,
    handlers: [http.all(`${url}/*`, () => passthrough())],
    connectOptions: { url, password },
    async repo(name = 'repo') {
      repos += 1;
      const directory = join(isolated.root, 'repos', String(repos), name);
      await mkdir(directory, { recursive: true });
      await makeGitRepository(directory, `repository ${repos}`);
      return directory;
    },
    reply: (answer, scriptOptions) => scripts.set(() => [text(answer)], scriptOptions),
    script: (next, scriptOptions) => scripts.set(next, scriptOptions),
    close,
    [Symbol.asyncDispose]: close,
  };
}
