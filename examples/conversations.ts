/**
 * Continues a conversation by the application's own id, also in another run of the application.
 *
 *   npx tsx examples/conversations.ts chat-1 PATH "What is this repository for?"
 *   npx tsx examples/conversations.ts chat-1 PATH "And who would use it?"
 *
 * The library keeps the bindings in memory; this file keeps them for the next run.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { argv, exit, stderr, stdout } from 'node:process';
import { JarvisOpenCode, type JarvisSnapshot } from 'jarvis-opencode';

const FILE = join(tmpdir(), 'jarvis-conversations.json');

const [chat, path, question] = argv.slice(2);
if (chat === undefined || path === undefined || question === undefined) {
  stderr.write('Usage: npx tsx examples/conversations.ts CHAT PATH QUESTION\n');
  exit(2);
}

await using jarvis = await JarvisOpenCode.start({ restore: load() });

// What was deleted meanwhile, in the TUI for example, is unbound, and starts again below.
const { gone } = await jarvis.sessions.reconcile();
for (const { jarvisSessionID } of gone) stderr.write(`The session of ${jarvisSessionID} is gone.\n`);

const session = await jarvis.forRepo(resolve(path)).sessions.open(chat, { title: chat });
writeFileSync(FILE, JSON.stringify(jarvis.snapshot()));

const { text } = await session.prompt(question);
stdout.write(`${session.id} in ${session.directory}\n${text}\n`);

function load(): JarvisSnapshot | undefined {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as JarvisSnapshot) : undefined;
}
