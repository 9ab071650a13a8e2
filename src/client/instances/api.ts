import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { RequestError } from '../../errors.js';
import type { Http } from '../http/http.js';
import type { RequestOptions } from '../http/request-options.js';
import { permissionListSchema, questionListSchema } from '../schema/ask.js';
import { ptyListSchema } from '../schema/pty.js';
import { booleanSchema } from '../schema/server.js';
import { sessionStatusMapSchema } from '../schema/session.js';
import { anything } from '../schema/wire.js';

const directoriesSchema = lazy(() => z.array(z.string()));

/** Reads the status of every session of a directory that is not idle, by its id. */
export function readSessionStatuses(
  http: Http,
  directory: string,
  signal: AbortSignal,
): Promise<z.infer<ReturnType<typeof sessionStatusMapSchema>>> {
  return http.send(
    { method: 'GET', path: '/session/status', directory, schema: sessionStatusMapSchema },
    { signal },
  );
}

/** Reads every permission request of a directory that has no answer, also those of turns that were aborted. */
export function readPermissions(
  http: Http,
  directory: string,
  signal: AbortSignal,
): Promise<z.infer<ReturnType<typeof permissionListSchema>>> {
  return http.send(
    { method: 'GET', path: '/permission', directory, schema: permissionListSchema },
    { signal },
  );
}

/** Reads every question of a directory that has no answer, also those of turns that were aborted. */
export function readQuestions(
  http: Http,
  directory: string,
  signal: AbortSignal,
): Promise<z.infer<ReturnType<typeof questionListSchema>>> {
  return http.send({ method: 'GET', path: '/question', directory, schema: questionListSchema }, { signal });
}

/**
 * Reads the ids of the terminals that run in a directory. When the directory was deleted, OpenCode 1.18.33 answers 500 unless the instance
 * has had a terminal before, and cannot make one either: none runs then.
 */
export async function readRunningPtys(http: Http, directory: string, signal: AbortSignal): Promise<string[]> {
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

/** Reads the directories whose instances are loaded; `undefined` where the server does not tell (OpenCode 1.18). */
export async function readLoaded(http: Http, signal: AbortSignal): Promise<string[] | undefined> {
  if (http.opencode === 1) return undefined;
  return http.send({ method: 'GET', path: '/api/debug/location', schema: directoriesSchema }, { signal });
}

/** The answer contains a few paths. */
const MAX_LOAD_ANSWER_BYTES = 64 * 1024;

/** Makes the server load the instance of a directory, if it has not; answers when that is done. */
export async function loadInstance(http: Http, directory: string, signal: AbortSignal): Promise<void> {
  await http.send(
    { method: 'GET', path: '/path', directory, schema: anything, maxBytes: MAX_LOAD_ANSWER_BYTES },
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
