import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export const USAGE = `Usage: npm start [-- --opencode 2]
       npm start -- --repo PATH --repo PATH [--model PROVIDER/MODEL] [--prompt TEXT]

Without options: two throw-away git repositories and a scripted model on loopback; no key, no network.
With two repositories: yours, with your own OpenCode configuration and environment. The sessions may read files and
nothing else, and are deleted at the end.

  --repo PATH             a repository of yours; give two different ones
  --model PROVIDER/MODEL  the model to prompt; the default of your configuration when left out
  --prompt TEXT           what to ask in each repository
  --opencode 2            plays on an OpenCode 2 (Linux x64), which is downloaded into your cache once
  --help                  show this text
`;

export const DEFAULT_PROMPT = 'Describe this repository in one sentence. Do not change any file.';

/** What the user asked for. */
export type DemoOptions =
  | { readonly kind: 'help' }
  | { readonly kind: 'scripted'; readonly opencode: 1 | 2 }
  | {
      readonly kind: 'own';
      readonly directories: readonly [string, string];
      readonly model: { readonly providerID: string; readonly modelID: string } | undefined;
      readonly prompt: string;
    };

/** The command line is not one of those in {@link USAGE}. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** @throws {UsageError} saying what is wrong. */
export function parseOptions(args: readonly string[], cwd: string): DemoOptions {
  const { repo = [], model, prompt, opencode = '1', help } = readFlags(args);
  if (help === true) return { kind: 'help' };
  if (repo.length === 0) {
    if (model !== undefined) throw new UsageError('--model needs two --repo.');
    if (prompt !== undefined) throw new UsageError('--prompt needs two --repo.');
    if (opencode !== '1' && opencode !== '2') throw new UsageError('Expected --opencode to be 1 or 2.');
    return { kind: 'scripted', opencode: opencode === '2' ? 2 : 1 };
  }
  if (opencode !== '1') throw new UsageError('--opencode plays with the scripted model, without --repo.');
  const [first, second, ...more] = repo.map((path) => parseDirectory(path, cwd));
  if (first === undefined || second === undefined || more.length > 0) {
    throw new UsageError(
      `Expected --repo twice, got it ${repo.length === 1 ? 'once' : `${repo.length} times`}.`,
    );
  }
  if (first === second) throw new UsageError('Expected two different repositories, got one twice.');
  if (prompt?.trim() === '') throw new UsageError('Expected --prompt to be a text.');
  return {
    kind: 'own',
    directories: [first, second],
    model: model === undefined ? undefined : parseModel(model),
    prompt: prompt ?? DEFAULT_PROMPT,
  };
}

function readFlags(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        repo: { type: 'string', multiple: true },
        model: { type: 'string' },
        prompt: { type: 'string' },
        opencode: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function parseDirectory(path: string, cwd: string): string {
  const directory = resolve(cwd, path);
  if (path === '' || statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new UsageError(`--repo ${JSON.stringify(path)} is not a directory.`);
  }
  return realpathSync(directory);
}

/** `openrouter/vendor/name` is the model `vendor/name` of the provider `openrouter`. */
function parseModel(model: string): { readonly providerID: string; readonly modelID: string } {
  const slash = model.indexOf('/');
  if (slash < 1 || slash === model.length - 1) {
    throw new UsageError(`Expected --model to be PROVIDER/MODEL, got ${JSON.stringify(model)}.`);
  }
  return { providerID: model.slice(0, slash), modelID: model.slice(slash + 1) };
}
