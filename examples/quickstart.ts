/**
 * Asks one question about a repository and prints the answer while it comes.
 *
 *   npx tsx examples/quickstart.ts [PATH]
 *
 * It uses your own OpenCode configuration: its providers, its default model, its permissions.
 */
import { resolve } from 'node:path';
import { argv, stdout } from 'node:process';
import { JarvisOpenCode } from 'jarvis-opencode';

await using jarvis = await JarvisOpenCode.start();
const repo = jarvis.forRepo(resolve(argv[2] ?? '.'));
const session = await repo.sessions.create({ title: 'Quickstart' });

const turn = session.stream('Describe this repository in one sentence. Do not change any file.');
for await (const step of turn) {
  if (step.type === 'text') stdout.write(step.delta);
  if (step.type === 'tool' && step.status === 'completed') stdout.write(`[${step.tool}]\n`);
}
const { tokens } = await turn.result;
stdout.write(`\n(${tokens.input} tokens read, ${tokens.output} written, in ${repo.directory})\n`);
