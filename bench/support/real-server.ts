// A real server with a scripted model and one repository, in a process of its own, so that their CPU is not that of the measured host. Prints
// how to connect to it as one line of JSON, and ends when its standard input does.
import { once } from 'node:events';
import { realOpenCode } from 'jarvis-opencode/testing';

await using opencode = await realOpenCode();
const directory = await opencode.repo();
process.stdout.write(`${JSON.stringify({ ...opencode.connectOptions, directory })}\n`);
process.stdin.resume();
await once(process.stdin, 'end');
