import * as z from 'zod';
import { RequestError } from '../../errors.js';
import type { Http } from '../http/http.js';
import type { RequestOptions } from '../http/request-options.js';
import type { PendingAsks } from '../asks/api.js';
import { permissionListSchema, questionListSchema } from '../schema/ask.js';
import { ptyListSchema } from '../schema/pty.js';
import { booleanSchema } from '../schema/server.js';
import { sessionStatusMapSchema } from '../schema/session.js';

/** What the server is doing in one directory, and what its busy sessions wait for. */
export interface Activity extends PendingAsks {
  /** Sessions that work, wait for an answer or for their provider; children included. */
  readonly busySessions: readonly string[];
  /** `undefined` when they are known and were not asked for. */
  readonly runningPtys: readonly string[] | undefined;
}

/**
 * Asks what the server is doing in a directory. It must be loaded: asking would load it, so nothing more is asked once
 * somebody else has disposed it.
 *
 * @throws when it cannot be known.
 */
export async function readActivity(
  http: Http,
  instance: { readonly directory: string; readonly loaded: boolean; readonly knowsTerminals: boolean },
  signal: AbortSignal,
): Promise<Activity> {
  const { directory, knowsTerminals } = instance;
  const [statuses, runningPtys] = await Promise.all([
    http.send(
      { method: 'GET', path: '/session/status', directory, schema: sessionStatusMapSchema },
      { signal },
    ),
    knowsTerminals ? undefined : readRunningPtys(http, directory, signal),
  ]);
  const busySessions = Object.entries(statuses)
    .filter(([, status]) => status.type !== 'idle')
    .map(([sessionID]) => sessionID);
  if (busySessions.length === 0 || !instance.loaded)
    return { busySessions, permissions: [], questions: [], runningPtys };
  const [permissions, questions] = await Promise.all([
    http.send({ method: 'GET', path: '/permission', directory, schema: permissionListSchema }, { signal }),
    http.send({ method: 'GET', path: '/question', directory, schema: questionListSchema }, { signal }),
  ]);
  const busy = new Set(busySessions);
  // What an aborted turn has asked stays listed until the instance is disposed (OpenCode 1.18.33).
  const isPending = ({ sessionID }: { readonly sessionID: string }): boolean => busy.has(sessionID);
  return {
    busySessions,
    permissions: permissions.filter(isPending),
    questions: questions.filter(isPending),
    runningPtys,
  };
}

/**
 * When the directory itself was deleted, OpenCode 1.18.33 answers 500 unless the instance has had a terminal before, and
 * cannot make one either: there is none then.
 */
async function readRunningPtys(http: Http, directory: string, signal: AbortSignal): Promise<string[]> {
  try {
    const ptys = await http.send(
      { method: 'GET', path: '/pty', directory, schema: ptyListSchema },
      { signal },
    );
    return ptys.filter((pty) => pty.status !== 'exited').map((pty) => pty.id);
  } catch (error) {
    if (error instanceof RequestError && error.status === 500) return [];
    throw error;
  }
}

/** Asks the server to dispose of a directory's instance. It answers before that is done. */
export async function sendDispose(http: Http, directory: string, options: RequestOptions): Promise<void> {
  await http.send({ method: 'POST', path: '/instance/dispose', directory, schema: booleanSchema }, options);
}

/** Disposes every instance on the server; answers when that is done. */
export async function sendDisposeAll(http: Http, options: RequestOptions): Promise<void> {
  await http.send({ method: 'POST', path: '/global/dispose', schema: booleanSchema }, options);
}

/** The answer has some paths in it. */
const MAX_LOAD_ANSWER_BYTES = 64 * 1024;

/** Makes the server load the instance of a directory, if it has not; answers when that is done. */
export async function loadInstance(http: Http, directory: string, signal: AbortSignal): Promise<void> {
  await http.send(
    { method: 'GET', path: '/path', directory, schema: z.unknown(), maxBytes: MAX_LOAD_ANSWER_BYTES },
    { signal, timeoutMs: false, retry: false },
  );
}

/** Whether an answer says that the directory has no instance, because its configuration is broken. */
export function hasBrokenConfig(error: unknown): error is RequestError {
  return (
    error instanceof RequestError &&
    (error.serverError === 'ConfigInvalidError' || error.serverError === 'ConfigJsonError')
  );
}

/**
 * Whether the answer to {@link loadInstance} says that there is none now. OpenCode 1.18.33 answers 500 when it may not read a
 * configuration file, or that is a directory.
 */
export function cannotLoad(error: unknown): error is RequestError {
  return hasBrokenConfig(error) || (error instanceof RequestError && error.status === 500);
}
