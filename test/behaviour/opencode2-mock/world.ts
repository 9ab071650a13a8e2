import { mockOpenCode, type MockOpenCode, type MockOpenCodeOptions } from 'jarvis-opencode/testing';
import { setupServer } from 'msw/node';
import { OpenCode2Client, type OpenCode2Frame } from '../../support/opencode2-client.js';

export interface World extends AsyncDisposable {
  readonly mock: MockOpenCode;
  readonly client: OpenCode2Client;
}

/** Makes a mock of OpenCode 2 with a plain client that reads its events. */
export async function makeWorld(options: MockOpenCodeOptions = {}): Promise<World> {
  const mock = mockOpenCode({ ...options, opencode: 2 });
  const server = setupServer(...mock.handlers);
  server.listen({ onUnhandledRequest: 'error' });
  const client = new OpenCode2Client(mock.connectOptions);
  await client.listen();
  return {
    mock,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      server.close();
      await mock.close();
    },
  };
}

/** An event as the fixtures write it. */
export function lineOf({ type, location, durable, data }: OpenCode2Frame): string {
  const number = durable === undefined ? '' : ` #${durable.seq}.${durable.version}`;
  return `${type}${location === undefined ? '' : ' @'}${number}: ${Object.keys(data).sort().join(' ')}`;
}

const KEPT = new Set(['type', 'outcome', 'finish', 'rawFinish', 'status', 'name']);

/** A value as the fixtures write it: texts and numbers without their value, unless it names a kind. */
export function shapeOf(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => shapeOf(one));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, shapeOf(one, name)]));
  if (typeof value === 'number') return 'number';
  if (typeof value === 'string') return KEPT.has(key) ? value : 'string';
  return value;
}
