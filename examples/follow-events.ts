/**
 * Prints what happens in one repository of an OpenCode server that is already running, until Ctrl-C.
 *
 *   opencode serve --port 4096 &
 *   npx tsx examples/follow-events.ts http://127.0.0.1:4096 PATH
 *
 * A password is taken from OPENCODE_SERVER_PASSWORD. The server is not stopped at the end: it is not ours.
 */
import { resolve } from 'node:path';
import { argv, env, exit, stderr, stdout } from 'node:process';
import { JarvisOpenCode } from 'jarvis-opencode';

const [url, path] = argv.slice(2);
if (url === undefined || path === undefined) {
  stderr.write('Usage: npx tsx examples/follow-events.ts URL PATH\n');
  exit(2);
}

const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort());

await using jarvis = await JarvisOpenCode.connect({
  url,
  password: env.OPENCODE_SERVER_PASSWORD,
  paths: 'local',
  // To watch is not to decide: this client never disposes anything.
  idle: false,
});
const repo = jarvis.forRepo(resolve(path));
const events = repo.events({ signal: interrupt.signal });
await events.ready;
stdout.write(`OpenCode ${jarvis.server.version} at ${jarvis.server.url}: ${repo.directory}\n`);

for await (const event of events) {
  switch (event.type) {
    case 'session.created':
      stdout.write(`${event.properties.sessionID}  created: ${event.properties.info.title}\n`);
      break;
    case 'session.status':
      stdout.write(`${event.properties.sessionID}  ${event.properties.status.type}\n`);
      break;
    case 'permission.asked':
      stdout.write(`${event.properties.sessionID}  may it use ${event.properties.permission}?\n`);
      break;
    case 'server.instance.disposed':
      stdout.write('the instance was disposed\n');
      break;
    case 'jarvis.gap':
      stdout.write(`events may be missing here: ${event.properties.reason}\n`);
      break;
    default:
      // Everything else, types that OpenCode adds later included.
      break;
  }
}
