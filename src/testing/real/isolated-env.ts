import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An environment for an `opencode` process that shares nothing with the user of this machine. */
export interface IsolatedEnv extends AsyncDisposable {
  /** The whole environment of the process; pass nothing else on. */
  readonly env: Readonly<Record<string, string>>;
  /** The temporary directory with HOME and everything that the process writes. */
  readonly root: string;
  /** Removes the temporary directory; idempotent. */
  dispose(): Promise<void>;
}

/**
 * Makes an environment with an empty HOME that keeps the real binary off the network.
 *
 * With a fresh HOME, or a repository with an `.opencode/`, OpenCode 1.18.33 installs `@opencode-ai/plugin` in the background, by
 * npm code inside its own process. When the registry does not answer, the signal handler of the installer swallows a SIGTERM
 * for more than 15 s. `npm_config_offline` makes the install fail at once: no connection, and SIGTERM works after 70 ms at any
 * time. The dead proxies stop other downloads: `grep` and `glob` download ripgrep where PATH has no `rg`, and fail.
 *
 * The list of public models is empty, so the configured providers are the only ones. OpenCode 1.18.33 reads its own list for every
 * instance: with an empty one the first prompt of an instance takes a third of the time (2.3 s and 0.7 s, measured).
 *
 * @param overrides - variables to add or replace.
 */
export async function isolatedEnv(overrides: Readonly<Record<string, string>> = {}): Promise<IsolatedEnv> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'jarvis-env-')));
  const home = join(root, 'home');
  const temp = join(root, 'tmp');
  await mkdir(home);
  await mkdir(temp);
  const models = join(root, 'models.json');
  await writeFile(models, '{}');
  const dispose = (): Promise<void> => rm(root, { recursive: true, force: true, maxRetries: 5 });
  return {
    env: {
      PATH: process.env['PATH'] ?? '',
      ...(process.env['OPENCODE_BIN'] && { OPENCODE_BIN: process.env['OPENCODE_BIN'] }),
      LANG: 'C.UTF-8',
      HOME: home,
      TMPDIR: temp,
      XDG_DATA_HOME: join(root, 'data'),
      XDG_CONFIG_HOME: join(root, 'config'),
      XDG_STATE_HOME: join(root, 'state'),
      XDG_CACHE_HOME: join(root, 'cache'),
      GIT_CONFIG_NOSYSTEM: '1',
      OPENCODE_DISABLE_MODELS_FETCH: '1',
      OPENCODE_MODELS_PATH: models,
      OPENCODE_DISABLE_AUTOUPDATE: '1',
      OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
      OPENCODE_DISABLE_SHARE: '1',
      npm_config_offline: 'true',
      HTTP_PROXY: 'http://127.0.0.1:9',
      HTTPS_PROXY: 'http://127.0.0.1:9',
      NO_PROXY: '127.0.0.1,localhost',
      ...overrides,
    },
    root,
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}
