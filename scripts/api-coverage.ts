/**
 * Measures which operations of the real server the methods of this library reach: every public method is called against
 * the server's own `/doc`, and what it sends is matched with that. Exits with 1 when an operation is neither covered nor
 * excluded with a reason.
 *
 *   tsx scripts/api-coverage.ts [--json]
 */
import { argv } from 'node:process';
import { JarvisOpenCode } from 'jarvis-opencode';
import { realServerOptions } from '../test/support/real-opencode.js';
import { CALLS } from './api-coverage/calls.js';
import { readDoc } from './api-coverage/doc.js';
import { EXCLUSIONS } from './api-coverage/exclusions.js';
import { measure, type Measurement } from './api-coverage/measure.js';

async function main(): Promise<void> {
  await using real = await realServerOptions();
  await using jarvis = await JarvisOpenCode.start(real.startOptions);
  const result = await measure(await readDoc(jarvis.server), CALLS, EXCLUSIONS);
  console.log(argv.includes('--json') ? JSON.stringify(result.coverage, null, 2) : table(result));
  if (result.coverage.missing.length > 0) process.exitCode = 1;
}

function table({ coverage, unused }: Measurement): string {
  const { total, covered, excluded, missing } = coverage;
  const rows: [string, string][] = [
    ...covered.map(({ operation, by }): [string, string] => [operation, by.join(', ')]),
    ...excluded.map(({ operation, reason }): [string, string] => [operation, `excluded: ${reason}`]),
    ...missing.map((operation): [string, string] => [operation, 'MISSING']),
  ];
  const width = Math.max(...rows.map(([operation]) => operation.length));
  return [
    ...rows.map(([operation, text]) => `${operation.padEnd(width)}  ${text}`),
    ...(unused.length > 0 ? ['', 'Fields of the server that no method sends:'] : []),
    ...unused.map(({ operation, fields }) => `${operation.padEnd(width)}  ${fields.join(', ')}`),
    '',
    `${total} operations: ${covered.length} covered, ${excluded.length} excluded, ${missing.length} missing`,
  ].join('\n');
}

await main();
