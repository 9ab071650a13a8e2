import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { makeGitRepository } from '../../src/testing/real/git-repository.js';
import { isolatedEnv } from '../../src/testing/real/isolated-env.js';
import { startScriptedModel, type ModelScript } from '../../src/testing/real/scripted-model.js';

/** A real OpenCode 2 server with a scripted model. */
export interface OpenCode2Server extends AsyncDisposable {
  readonly url: string;
  readonly password: string;
  /** Two repositories. */
  readonly repos: readonly [string, string];
}

const PASSWORD = 'a password';

/**
 * Starts an OpenCode 2 binary that shares nothing with the user of the machine; it ends with this process, because it is told to
 * live as long as its stdin.
 */
export async function startOpenCode2(binary: string, script: ModelScript): Promise<OpenCode2Server> {
  const isolated = await isolatedEnv({ OPENCODE_PASSWORD: PASSWORD });
  const model = await startScriptedModel(script);
  const [cwd, first, second] = ['cwd', 'first', 'second'].map((name) => join(isolated.root, name));
  if (cwd === undefined || first === undefined || second === undefined) throw new Error('unreachable');
  await mkdir(cwd);
  for (const directory of [first, second]) {
    await mkdir(directory);
    await makeGitRepository(directory, directory);
  }
  const config = {
    provider: {
      scripted: {
        npm: '@ai-sdk/openai-compatible',
        name: 'Scripted',
        options: { baseURL: model.baseURL, apiKey: 'none' },
        models: { scripted: { name: 'Scripted', tool_call: true } },
      },
    },
    model: 'scripted/scripted',
    small_model: 'scripted/scripted',
    permission: { '*': 'allow' },
  };
  const child = spawn(binary, ['serve', '--stdio', '--port', '0'], {
    cwd,
    env: { ...isolated.env, OPENCODE_CONFIG_CONTENT: JSON.stringify(config) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  // Later lines are logs, which are read on, so that the pipe does not fill.
  const lines = createInterface({ input: child.stdout });
  const [ready] = (await once(lines, 'line')) as [string];
  const { url } = JSON.parse(ready) as { readonly url: string };
  return {
    url,
    password: PASSWORD,
    repos: [first, second],
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await exited;
      await model.close();
      await isolated.dispose();
    },
  };
}
