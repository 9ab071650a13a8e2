import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { abortable, AbortScope, deferred, delay } from '../../../core/abort.js';
import { backoffMs } from '../../../core/backoff.js';
import { acceptedInWords, type AcceptedVersions } from '../../../core/version.js';
import { JarvisError, ServerStartError, UnsupportedServerError } from '../../../errors.js';
import type { Logger } from '../../../core/logger.js';
import type { ServerExit } from '../../process/exit.js';
import { findBinary, findWrapper, installDirectories, packageRoots } from '../../process/binary.js';
import { GuardedProcess, type DisposeAll } from '../../guards/guarded-process.js';
import { ALL_GUARDS, Guards, type GuardKinds } from '../../guards/guards.js';
import { registerExitHook } from '../../guards/exit-hook.js';
import { endOrphans } from '../../guards/orphans.js';
import { dataDirectory } from '../../paths/directory-traps.js';
import { makeDirectory } from '../../paths/make-directory.js';
import { statOf } from '../../paths/stat-of.js';
import { answersDirectly, exemptLoopback, proxyVariable } from './loopback.js';
import {
  shedStaleConnections,
  waitUntilHealthy,
  warnOfNewer,
  type DirectCheck,
  type Probe,
} from './ready.js';
import { basicAuthorization } from './credentials.js';
import { parseGraceMs } from '../handle.js';
import { ServerProcess } from '../server-process.js';
import { planForOpenCode2, type ServerPlan } from '../options.js';
import { firstStart } from './first-start.js';
import { prepareUser } from './server-user.js';
import { assertBinaryVersion } from './version-gate.js';
import { droppedBehind, droppedVariables, isPasswordRefused, serverBehind } from './wrapper.js';

/** Retries, and the pauses before them, of a start that failed because another server made the same database. */
const DATABASE_RETRIES = 5;
const DATABASE_PAUSE = { minMs: 200, maxMs: 3_200 };
/** What OpenCode 1.18.33 says when it exits for that reason. */
const DATABASE_RACE = /database is locked|Failed query:/;

/** The requests of a launch. */
export interface ServerCalls {
  readonly probe: (url: string, authorization: string | undefined, opencode: 1 | 2) => Probe;
  /**
   * Makes sure that a server of OpenCode 2 has the operations that are used.
   *
   * @throws {UnsupportedServerError} naming what is missing.
   */
  readonly assertOperations: (
    server: { readonly url: string; readonly authorization: string; readonly version: string },
    supported: string,
    signal: AbortSignal,
  ) => Promise<void>;
  /** Asks the server to end all its work: running tools have process groups of their own that no signal of ours reaches. */
  readonly disposeAll: (url: string, authorization: string, timeoutMs: number) => Promise<void>;
}

/** How one launch is watched and guarded. */
export interface LaunchOptions {
  readonly signal: AbortSignal | undefined;
  /** Called with each line of output, without secrets. */
  readonly onLog: (line: string) => void;
  readonly logger: Logger;
  /** @default all of them */
  readonly guards?: GuardKinds | undefined;
}

/**
 * Starts a server and resolves when it is healthy. On any failure nothing of it is left running.
 *
 * @throws {ServerStartError} when there is no binary, it exits, or it is not healthy in time.
 * @throws {UnsupportedServerError} when it is not a version this library can talk to.
 */
export async function launchServer(
  given: ServerPlan,
  calls: ServerCalls,
  options: LaunchOptions,
): Promise<ServerProcess> {
  const { signal, onLog, logger } = options;
  signal?.throwIfAborted();
  let plan = given;
  const command = findBinary({
    command: plan.command,
    env: plan.env,
    packageRoots: packageRoots(),
    installDirectories: installDirectories(plan.env),
  });
  const [wrapper, ...wrapperArgs] = plan.wrap;
  const wrap = wrapper === undefined ? [] : [findWrapper(wrapper, plan.env), ...wrapperArgs];
  const [program = command, ...before] = [...wrap, command];
  const authorization = basicAuthorization(plan.username, plan.password);
  const secrets = [plan.password, authorization, authorization.slice('Basic '.length)];
  const commandLineOf = (args: readonly string[]): string =>
    [program, ...before, ...args].join(' ').replaceAll(given.password, '[redacted]');
  let commandLine = commandLineOf(plan.args);
  prepare(plan, program);
  const exempted = exemptLoopback(plan.hostname);
  if (Object.keys(exempted).length > 0) {
    logger.info('requests to this machine are exempted from the proxy of this process', exempted);
  }
  const orphans = endOrphans();
  if (orphans.length > 0) logger.warn('ended servers of hosts that were killed', { pids: orphans });

  const guards = new Guards(options.guards ?? ALL_GUARDS, logger);
  let current: GuardedProcess | undefined;
  let opencode: 1 | 2 = 1;
  const run = (args: readonly string[]): GuardedProcess =>
    (current = new GuardedProcess(
      {
        command: program,
        args: [...before, ...args],
        cwd: plan.cwd,
        env: plan.env,
        user: plan.user,
        hasInput: opencode === 2,
        secrets,
        onLog,
      },
      guards,
    ));
  const startError = (what: string, exitCode: number | null = null, cause?: unknown): ServerStartError =>
    new ServerStartError(
      {
        message: `The server ${what}: ${commandLine}.`,
        command: commandLine,
        exitCode,
        recentOutput: current?.output.lines() ?? [],
      },
      cause === undefined ? undefined : { cause },
    );
  const limit = new AbortScope([signal], {
    timeoutMs: plan.startTimeoutMs,
    reason: () => startError(`did not become ready within ${plan.startTimeoutMs} ms`),
  });
  let letOthersStart = (): void => undefined;
  const over = deferred();
  // Registered for the whole launch: a signal that comes between two processes would be lost otherwise, because Node
  // forgets signals that it has not delivered yet when the last listener is removed.
  const unregister = registerExitHook({
    killNow: () => undefined,
    stop: () => {
      limit.abort(startError('was not started, because this process is told to end'));
      return over.promise;
    },
  });
  try {
    const { accepted } = plan;
    const question = { command, wrap, accepted, run: () => run(['--version']), startError };
    // A script that does not tell is taken for the major version that was asked for.
    opencode = (await assertBinaryVersion(question, limit.signal)) ?? (accepted.opencode === '2' ? 2 : 1);
    limit.signal.throwIfAborted();
    if (opencode === 2) {
      plan = planForOpenCode2(given);
      commandLine = commandLineOf(plan.args);
    } else letOthersStart = await firstStart(plan, plan.startTimeoutMs / 2, limit.signal);
    const begin = async (): Promise<{ child: GuardedProcess; url: string; version: string }> => {
      const child = run(plan.args);
      logger.debug('server starting', { command: commandLine, pid: child.pid });
      const ended = async ({ code, signal: by }: ServerExit): Promise<never> => {
        const why = by === null ? `exited with code ${String(code)}` : `was ended by ${by}`;
        const left =
          wrap.length > 0 && code === 0 ? '. A wrapper must stay until the server has ended. Command' : '';
        throw startError(
          why + left + (await portTaken(plan)) + notWritable(plan, child.output.lines()),
          code,
        );
      };
      const answer = await Promise.race([
        becomeReady(
          child,
          (origin) => ({
            probe: calls.probe(origin, authorization, opencode),
            direct: {
              answers: (asking) => answersDirectly(origin, authorization, asking, opencode),
              failure: (cause) => startError(unreached(origin), null, cause),
            },
          }),
          accepted,
          limit.signal,
        ),
        child.failed.catch((error: unknown) => {
          throw startError(`could not be started (${String(error)})`, null, error);
        }),
        child.exited.then(ended),
      ]);
      // Whoever answers is not the process that was started, but what that has left behind.
      if (!child.isRunning) await child.exited.then(ended);
      return { child, ...answer };
    };
    const { child, url, version } = await withoutDatabaseRace(begin, async (pauseMs) => {
      await current?.end(0);
      logger.debug('server starts again: another server made the database at the same time', { pauseMs });
      await delay(pauseMs, limit.signal);
    });
    if (child.pid === undefined) throw startError('has no process id');
    if (opencode === 2)
      await calls.assertOperations({ url, authorization, version }, acceptedInWords(accepted), limit.signal);
    const serverPid = wrap.length === 0 ? child.pid : serverBehind(child.pid, child.tree, command);
    if (wrap.length > 0) {
      const dropped = await droppedBehind(
        serverPid,
        plan.ownVariables,
        calls.probe(url, undefined, opencode),
        limit.signal,
      );
      if (dropped.length > 0) {
        const names = dropped.join(', ');
        throw startError(`did not get ${names}: its wrapper must pass the environment on. Command`);
      }
      if (droppedVariables(serverPid, Object.keys(guards.env)).length > 0) {
        logger.warn('wrapper passes not all variables on: what leaves its parent may outlive the server', {
          command: commandLine,
        });
      }
    }
    guards.ready(child.tree, url, authorization);
    void child.gone.then(() => guards.release());
    const dispose: DisposeAll =
      opencode === 2
        ? (timeoutMs) => child.endInput(timeoutMs)
        : (timeoutMs) => calls.disposeAll(url, authorization, timeoutMs);
    if (plan.isUnref) child.unref();
    logger.info('server ready', { url, version, pid: child.pid });
    warnOfNewer(version, logger);
    const probe = calls.probe(url, authorization, opencode);
    return new ServerProcess({
      process: child,
      pid: child.pid,
      serverPid,
      url,
      version,
      opencode,
      authorization,
      probe,
      dispose,
    });
  } catch (error) {
    limit.abort(error);
    // The process is stopped before the error is thrown: whoever sees that finds nothing running.
    await current?.end(parseGraceMs(undefined));
    guards.release();
    const isOurs = error instanceof ServerStartError || error instanceof UnsupportedServerError;
    if (isOurs || !(error instanceof JarvisError)) throw error;
    const why = isPasswordRefused(error)
      ? 'refuses its password (401): what starts it must pass OPENCODE_SERVER_PASSWORD on. Command'
      : 'could not be used';
    throw startError(why, null, error);
  } finally {
    letOthersStart();
    limit.end();
    over.resolve();
    unregister();
  }
}

async function becomeReady(
  child: GuardedProcess,
  checksOf: (url: string) => { readonly probe: Probe; readonly direct: DirectCheck },
  accepted: AcceptedVersions,
  signal: AbortSignal,
): Promise<{ readonly url: string; readonly version: string }> {
  const url = await abortable(child.url, signal);
  const { probe, direct } = checksOf(url);
  const version = await waitUntilHealthy(probe, signal, direct, accepted);
  await shedStaleConnections(probe, signal);
  return { url, version };
}

/** What to say when the server answers, but not the requests of this process. */
function unreached(url: string): string {
  const variable = proxyVariable(process.env);
  const cause =
    variable === undefined
      ? 'a proxy set for all requests of this process, or the option fetch, may take them'
      : `the proxy that the variable ${variable} names may take them`;
  return (
    `answers at ${url}, but requests of this process do not reach it: ${cause}. ` +
    'Set NO_PROXY=127.0.0.1,localhost in the environment before this process starts. Command'
  );
}

/** Repeats a start that failed because a server without our lock made the same database at the same time. */
async function withoutDatabaseRace<T>(
  begin: () => Promise<T>,
  pause: (pauseMs: number) => Promise<void>,
): Promise<T> {
  for (let retries = 0; ; retries += 1) {
    try {
      return await begin();
    } catch (error) {
      const isRace =
        error instanceof ServerStartError &&
        error.exitCode === 1 &&
        error.recentOutput.some((line) => DATABASE_RACE.test(line));
      if (!isRace || retries === DATABASE_RETRIES) throw error;
      await pause(backoffMs(retries, DATABASE_PAUSE));
    }
  }
}

/** Makes the directories and checks the cwd: of a missing one the system says that the command does not exist. */
function prepare(plan: ServerPlan, command: string): void {
  const isMadeLater = plan.cwd === plan.user?.home;
  if (!isMadeLater && statOf(plan.cwd)?.isDirectory() !== true) {
    throw new ServerStartError({
      message: `The cwd ${JSON.stringify(plan.cwd)} is not a directory.`,
      command,
    });
  }
  if (plan.user !== undefined) return prepareUser(plan.user, { ...plan, program: command });
  for (const directory of plan.directories) {
    try {
      makeDirectory(directory);
    } catch (cause) {
      const message = `The dataDir cannot be used: ${JSON.stringify(directory)} could not be made (${String(cause)}).`;
      throw new ServerStartError({ message, command }, { cause });
    }
  }
}

/** The end of a message when another process has the port; that process is left alone. */
async function portTaken({ port, hostname }: ServerPlan): Promise<string> {
  if (port === 0) return '';
  const isTaken = await new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'));
    server.listen({ port, host: hostname, exclusive: true }, () => server.close(() => resolve(false)));
  });
  return isTaken ? `, because port ${port} of ${hostname} is taken by another process` : '';
}

/** The end of a message when the server exited because it cannot write to a directory of its own or to what is in it. */
function notWritable({ env, cwd }: ServerPlan, output: readonly string[]): string {
  const line = output.find((text) =>
    /\b(EACCES|EPERM|EROFS|ENOTDIR|ENOSPC)\b|readonly database|unable to open database/.test(text),
  );
  const all = output.join('\n');
  // Bun says so of a directory that nobody can make, as below `/proc`.
  const isMissing = /\bsyscall: "mkdir"/.test(all);
  if (line === undefined && !isMissing) return '';
  const named = /'(\/[^']*)'/.exec(line ?? '')?.[1] ?? /\bpath: "(\/[^"]*)"/.exec(all)?.[1];
  const path = named ?? dataDirectory(env, cwd);
  const owner = isMissing && line === undefined ? undefined : ownerOf(path);
  // OpenCode 1.18.33 makes a directory `opencode` there at its start.
  const isTemporary = path === join(env.TMPDIR || '/tmp', 'opencode');
  return (
    `, because it cannot write to ${JSON.stringify(path)}` +
    (owner === undefined ? '' : `, which belongs to user ${owner}`) +
    (isTemporary
      ? '. Set TMPDIR to a directory that the user it runs as can write to'
      : '. Give the server a dataDir, and a HOME, of the user it runs as')
  );
}

/** The user id of the nearest part of a path that exists; `undefined` where there are no user ids. */
function ownerOf(path: string): number | undefined {
  for (let level = path; ; level = dirname(level)) {
    const stat = statOf(level);
    if (stat !== undefined) return process.getuid === undefined ? undefined : stat.uid;
    if (dirname(level) === level) return undefined;
  }
}
