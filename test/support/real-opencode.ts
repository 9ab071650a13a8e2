import { randomUUID } from 'node:crypto';
import { isolatedEnv } from '../../src/testing/real/isolated-env.js';
import { opencodeConfig, type OpenCodeConfig } from '../../src/testing/real/opencode-config.js';
import {
  startScriptedModel,
  type ModelAnswers,
  type ModelScript,
  type ScriptedModel,
} from '../../src/testing/real/scripted-model.js';
import { endProcessesWith } from './processes.js';

export { spawnPlainOpenCode, type PlainOpenCode, type PlainOpenCodeOptions } from './plain-opencode.js';

/** What {@link realServerOptions} makes. */
export interface RealServerSetup {
  /** How the model answers. @default every prompt with `ok` */
  readonly script?: ModelScript;
  /** What the model answers without the script. */
  readonly answers?: ModelAnswers;
  /** Replaces whole top-level keys of {@link opencodeConfig}. */
  readonly config?: OpenCodeConfig;
  /** Variables to add to the isolated environment or to replace in it. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Everything a test needs to start the real server once or several times. */
export interface RealServerOptions extends AsyncDisposable {
  /**
   * For `JarvisOpenCode.start()` and `spawnPlainOpenCode()`. The library merges `env` over `process.env`:
   * what this process has and the isolated environment has not is therefore `undefined` here, which removes it.
   */
  readonly startOptions: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly config: OpenCodeConfig;
    /** A directory of its own: the server resolves relative paths against it, also those it is told to delete. */
    readonly cwd: string;
  };
  readonly model: ScriptedModel;
  /** In the environment of the server and of all its descendants; see `processes.ts`. */
  readonly marker: string;
  /** The isolated environment, complete; for a child process that starts the server itself. */
  readonly env: Readonly<Record<string, string>>;
  /** The temporary directory with HOME and data of the server. */
  readonly root: string;
  /**
   * Closes the model and removes the temporary directory; idempotent.
   *
   * @throws {Error} naming them, if processes of the server are alive 2 s after the call; they are killed first.
   */
  dispose(): Promise<void>;
}

/**
 * Prepares what a test of the real server needs; starts no server.
 *
 * @example
 * ```ts
 * await using real = await realServerOptions({ script: () => [text('hello', { chunks: 5, delayMs: 20 })] });
 * await using jarvis = await JarvisOpenCode.start(real.startOptions);
 * ```
 */
export async function realServerOptions(setup: RealServerSetup = {}): Promise<RealServerOptions> {
  const marker = randomUUID();
  const isolated = await isolatedEnv({ ...runtimeFlags(), ...setup.env, JARVIS_TEST_MARKER: marker });
  const model = await startScriptedModel(setup.script, setup.answers);
  const removed = Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]));

  async function release(): Promise<void> {
    const ended = await endProcessesWith(marker, { graceMs: 2000 });
    await model.close();
    await isolated.dispose();
    if (ended.length > 0) throw new Error(`the test left processes behind: ${ended.join('; ')}`);
  }
  let released: Promise<void> | undefined;
  const dispose = (): Promise<void> => (released ??= release());

  return {
    startOptions: {
      env: { ...removed, ...isolated.env },
      config: opencodeConfig(model, setup.config),
      cwd: isolated.root,
    },
    model,
    marker,
    env: isolated.env,
    root: isolated.root,
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

/** The flags for the runtime of the servers that this process was given; see `vitest.config.ts`. */
function runtimeFlags(): Record<string, string> {
  const isFlag = (entry: [string, string | undefined]): entry is [string, string] =>
    entry[0].startsWith('BUN_JSC_') && entry[1] !== undefined;
  return Object.fromEntries(Object.entries(process.env).filter(isFlag));
}
