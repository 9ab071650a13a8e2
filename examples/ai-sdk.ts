/**
 * The AI SDK on one repository: its OpenCode provider is given the official client, and that goes through `repo.fetch`.
 *
 *   npx tsx examples/ai-sdk.ts PATH PROVIDER/MODEL
 */
import { resolve } from 'node:path';
import { argv, stdout } from 'node:process';
import { pathToFileURL } from 'node:url';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { generateText, streamText, type LanguageModel } from 'ai';
import { createOpencode, OpencodeClientManager } from 'ai-sdk-provider-opencode-sdk';
import { JarvisOpenCode, type RepoClient } from 'jarvis-opencode';

/** A model of the AI SDK that works in the repository. */
export function languageModel(repo: RepoClient, model: string): LanguageModel {
  const client = createOpencodeClient({ baseUrl: repo.baseUrl, fetch: repo.fetch });
  const provider = createOpencode({ clientManager: OpencodeClientManager.createInstance({ client }) });
  return provider(model, { logger: false });
}

/** Asks for one text as a whole, then streams another; yields both. */
export async function* ask(model: LanguageModel, prompts: readonly [string, string]): AsyncGenerator<string> {
  const { text } = await generateText({ model, prompt: prompts[0] });
  yield text;
  yield await streamText({ model, prompt: prompts[1] }).text;
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const [, , path, name] = argv;
  if (path === undefined || name === undefined) throw new TypeError('Expected a path and PROVIDER/MODEL.');
  await using jarvis = await JarvisOpenCode.start();
  const model = languageModel(jarvis.forRepo(resolve(path)), name);
  for await (const text of ask(model, ['What is this repository?', 'How is it tested?'])) {
    stdout.write(`${text}\n\n`);
  }
}
