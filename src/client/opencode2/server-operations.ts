import * as z from 'zod';
import type { Exchange } from '../dialect/dialect.js';
import type { PtyInfo } from '../schema/event.js';
import { openCode2InfoSchema } from '../schema/server.js';
import { pin, type Handler } from './call.js';
import { loadLocation } from './session-operations.js';
import { anything } from '../schema/wire.js';

const loadedSchema = () => z.array(z.looseObject({ directory: z.string() }));

/** The directories whose instances are loaded. */
async function readLoaded(exchange: Exchange): Promise<string[]> {
  const request = { method: 'GET', path: '/api/debug/location', schema: loadedSchema } as const;
  return (await exchange.send(request)).map(({ directory }) => directory);
}

/** Unloads an instance. OpenCode 2.0.14 without `location[directory]` unloads that of its own working directory. */
async function evict(exchange: Exchange, directory: string): Promise<void> {
  const query = pin(directory);
  await exchange.send({ method: 'DELETE', path: '/api/debug/location', query, schema: anything });
}

const health: Handler = async ({ exchange }) => {
  const { version } = await exchange.send({ method: 'GET', path: '/api/info', schema: openCode2InfoSchema });
  return { body: { healthy: true, version } };
};

const path: Handler = async (call) => {
  const { directory, project } = await loadLocation(call);
  return { body: { home: '', state: '', config: '', worktree: project.directory, directory } };
};

/** Disposes one instance. The server tells nobody of the end of one that it has not loaded, so that is found out first. */
const dispose: Handler = async ({ exchange, directory, onUnloaded }) => {
  const isLoaded = (await readLoaded(exchange)).includes(directory);
  await evict(exchange, directory);
  if (!isLoaded) onUnloaded(directory);
  return { body: true };
};

/** Disposes every instance, one after the other: OpenCode 2 has no request for all. */
const disposeAll: Handler = async ({ exchange }) => {
  for (const directory of await readLoaded(exchange)) await evict(exchange, directory);
  return { body: true };
};

const ptysSchema = () =>
  z.looseObject({ data: z.array(z.looseObject({ id: z.string(), status: z.string() })) });

const ptys: Handler = async ({ exchange, directory }) => {
  const query = pin(directory);
  const { data } = await exchange.send({ method: 'GET', path: '/api/pty', query, schema: ptysSchema });
  return { body: data as unknown as PtyInfo[] };
};

/** The operations on the server and its instances. */
export const serverOperations: Readonly<Record<string, Handler>> = {
  'GET /global/health': health,
  'GET /path': path,
  'POST /instance/dispose': dispose,
  'POST /global/dispose': disposeAll,
  'GET /pty': ptys,
  'GET /api/debug/location': async ({ exchange }) => ({ body: await readLoaded(exchange) }),
};
