/**
 * Writes the table of operations in `docs/opencode-2-operations.md`: what the library sends to either major version of OpenCode.
 *
 *   tsx scripts/docs/opencode2.ts [--check]
 *
 * `--check` writes nothing, and fails when the file is not up to date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { argv, exit } from 'node:process';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { Exchange } from '../../src/client/dialect/dialect.js';
import type { Call } from '../../src/client/opencode2/call.js';
import { OPERATIONS } from '../../src/client/opencode2/dialect.js';
import { DialectMemory } from '../../src/client/opencode2/memory.js';
import { FETCH_OPERATIONS } from '../../src/client/repo/operations.js';

const file = fileURLToPath(new URL('../../docs/opencode-2-operations.md', import.meta.url));

/** Answers anything, so that a handler goes on to its next request. */
function anyAnswer(): unknown {
  const info = {
    id: 'any',
    type: 'assistant',
    sessionID: 'any',
    version: '2.0.14',
    directory: '/any',
    location: { directory: '/any' },
    project: { directory: '/any' },
    time: { created: 0, updated: 0 },
    content: [],
    model: { id: 'any', providerID: 'any' },
    fields: [],
  };
  // A list for who expects one, with the fields of an object that nobody enumerates.
  const data: unknown[] = [];
  for (const [name, value] of Object.entries(info)) Object.defineProperty(data, name, { value });
  return { ...info, data, cursor: {}, map: () => [] };
}

/** The requests that an operation is carried out by. */
async function requestsOf(name: string): Promise<string[]> {
  const requests: string[] = [];
  const note = ({ method, path }: { readonly method: string; readonly path: string }): void => {
    const request = `${method} ${decodeURIComponent(path)}`;
    if (!requests.includes(request)) requests.push(request);
  };
  const exchange: Exchange = {
    send: (request) => {
      note(request);
      return Promise.resolve(anyAnswer() as never);
    },
  };
  const memory = new DialectMemory();
  memory.asks.set('{requestID}', { sessionID: '{sessionID}', fields: [] });
  const names = [...name.matchAll(/:(\w+)/g)].map(([, param = '']) => param);
  const json = {
    parts: [],
    answers: [],
    messageID: '{messageID}',
    agent: 'any',
    model: { modelID: 'm', providerID: 'p' },
  };
  const call: Call = {
    exchange,
    memory,
    params: Object.fromEntries(names.map((param) => [param, `{${param}}`])),
    query: {},
    json,
    directory: '/any',
    onUnloaded: () => undefined,
  };
  await OPERATIONS[name]?.(call).catch(() => undefined);
  return requests;
}

function braced(name: string): string {
  return name.replaceAll(/:(\w+)/g, '{$1}');
}

const both: string[] = [];
const only2: string[] = [];
for (const name of Object.keys(OPERATIONS)) {
  const requests = (await requestsOf(name)).map((each) => `\`${each}\``).join(', ');
  if (name.includes(' /api/')) only2.push(`\`${braced(name)}\``);
  else both.push(`- \`${braced(name)}\`: ${requests}`);
}
const known = new Set(Object.keys(OPERATIONS).map((name) => braced(name).replaceAll(/\{\w+\}/g, '{}')));
const missing = FETCH_OPERATIONS.filter(
  ({ method, template }) =>
    method !== '*' && !known.has(`${method} ${template}`.replaceAll(/\{\w+\}/g, '{}')),
);
const byFolder = new Map<string, string[]>();
for (const { method, template } of missing) {
  const [, folder = ''] = template.split('/');
  byFolder.set(folder, [
    ...(byFolder.get(folder) ?? []),
    `${method} ${template.slice(folder.length + 1) || '/'}`,
  ]);
}
const lists = [...byFolder].map(
  ([folder, names]) => `- \`/${folder}\`: ${names.map((each) => `\`${each}\``).join(', ')}`,
);
const text = `# Operations of OpenCode 1 and 2

This page is generated from the source by \`npm run docs:options\`. [OpenCode 1 and 2](opencode-2.md) says what it means for an application.

## Both have

The library carries an operation of OpenCode 1.18 out on OpenCode 2.0.14 by these requests; not each of them is sent each time.

${both.join('\n')}

The events come from \`GET /global/event\` and \`GET /api/event\`.

## Only OpenCode 2 has

${only2.join(', ')}, for \`session.entries()\`, for what is loaded, and for the sessions of all directories.

## Only OpenCode 1 has

On OpenCode 2 these reject with \`UnsupportedOperationError\` before anything is sent:

${lists.join('\n')}
`;
const config = await resolveConfig(file);
const formatted = await format(text, { ...config, parser: 'markdown' });
if (argv.includes('--check')) {
  let present = '';
  try {
    present = readFileSync(file, 'utf8');
  } catch {
    // It is missing, and so not up to date.
  }
  if (present !== formatted) {
    console.error('docs/opencode-2-operations.md is not up to date: npm run docs:options');
    exit(1);
  }
} else writeFileSync(file, formatted);
