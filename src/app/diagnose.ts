import { ifSupported } from '../client/dialect/if-supported.js';
import type { RequestOptions } from '../client/http/request-options.js';
import type { RepoClient } from '../client/repo/repo-client.js';
import type { Health } from '../client/schema/server.js';
import type { PermissionPolicy } from '../client/asks/policy.js';
import { AbortScope } from '../core/abort.js';
import { aSignal, aString, assertOptions, positiveMs, type OptionChecks } from '../core/checks.js';
import type { DiagnosisCheck, Finding } from '../core/diagnosis.js';
import { describeHolds, type RepoOverview } from '../core/instance.js';
import { MEASURED_OPENCODE_2, MEASURED_SERVER } from '../core/version.js';
import { ClosedError, TimeoutError } from '../errors.js';
import type { ServerHandle } from '../lifecycle/server/handle.js';

/** Options of `diagnose()`. */
export interface DiagnoseOptions {
  /**
   * A repository to look at too: its instance is loaded, and says which providers it has.
   *
   * @default a repository that is loaded; none is loaded for it
   */
  readonly directory?: string | undefined;
  /** Ends it, with its own reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds the server may take; what it has not answered by then is a finding. @default 10_000 */
  readonly timeoutMs?: number | undefined;
}

/** What of a client is looked at. */
export interface DiagnoseInit {
  readonly server: Pick<ServerHandle, 'state' | 'url' | 'version' | 'opencode'>;
  readonly health: (options: RequestOptions) => Promise<Health>;
  readonly repos: () => readonly RepoOverview[];
  readonly forRepo: (directory: string) => Pick<RepoClient, 'directory' | 'config'>;
  readonly permissions: PermissionPolicy | undefined;
  /** The time in epoch milliseconds. */
  readonly now: () => number;
  /** Looks at this machine. */
  readonly machine: () => Finding[] | Promise<Finding[]>;
}

const checks: OptionChecks<DiagnoseOptions> = { directory: aString, signal: aSignal, timeoutMs: positiveMs };
const TIMEOUT_MS = 10_000;
/** From when on a request that nobody answers is worth a warning. */
const UNANSWERED_MS = 60_000;
const MAX_NAMED = 10;

/** Looks at a client, its server and this machine; only the caller's own signal and the end of the client make it reject. */
export async function diagnose(options: DiagnoseOptions | undefined, init: DiagnoseInit): Promise<Finding[]> {
  assertOptions('diagnose()', checks, options);
  const { directory, signal, timeoutMs = TIMEOUT_MS } = options ?? {};
  signal?.throwIfAborted();
  const scope = new AbortScope([signal], {
    timeoutMs,
    reason: (limitMs) => new TimeoutError('diagnose()', { phase: 'request', timeoutMs: limitMs }),
  });
  const look = async (
    check: DiagnosisCheck,
    run: () => Finding[] | Promise<Finding[]>,
  ): Promise<Finding[]> => {
    try {
      return await run();
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof ClosedError) throw error;
      return [{ level: 'error', check, summary: error instanceof Error ? error.message : String(error) }];
    }
  };
  // Each call counts to the same limit; one that loads an instance would not count the loading.
  const sending: RequestOptions = { signal: scope.signal, timeoutMs: false, retry: false };
  try {
    const asked = await Promise.all([
      look('server', () => serverFindings(init, sending)),
      look('provider', () => providerFindings(init, directory, sending)),
    ]);
    const known = await Promise.all([
      look('repository', () => repositoryFindings(init.repos())),
      look('asks', () => [asksFinding(init)]),
      look('host', () => init.machine()),
    ]);
    return [...asked, ...known].flat();
  } finally {
    scope.end();
  }
}

async function serverFindings({ server, health }: DiagnoseInit, sending: RequestOptions): Promise<Finding[]> {
  if (server.state === 'asleep') {
    const summary = 'The server is not needed yet, or not for a time; a request starts it.';
    return [{ level: 'ok', check: 'server', summary }];
  }
  if (server.state !== 'ready' && server.state !== 'unhealthy') {
    const advice = 'Read server.recentOutput for what it says.';
    return [{ level: 'error', check: 'server', summary: `The server is ${server.state}.`, advice }];
  }
  const { version } = await health(sending);
  return [
    { level: 'ok', check: 'server', summary: `OpenCode ${version} answers at ${server.url}.` },
    versionFinding(version, server),
  ];
}

function versionFinding(version: string, { opencode }: Pick<ServerHandle, 'opencode'>): Finding {
  const check = 'version';
  if (opencode === 2) {
    const summary = `OpenCode 2 is an experiment, measured with ${MEASURED_OPENCODE_2}; the server is ${version}.`;
    return { level: 'warn', check, summary };
  }
  if (version === MEASURED_SERVER)
    return { level: 'ok', check, summary: `This library was measured with OpenCode ${version}.` };
  return {
    level: 'warn',
    check,
    summary: `This library was measured with OpenCode ${MEASURED_SERVER}, and the server is ${version}.`,
    advice: `npm install opencode-ai@${MEASURED_SERVER}, where something does not work as documented`,
  };
}

/** Which providers there are depends on the repository, and only a loaded instance can tell. */
async function providerFindings(
  { repos, forRepo }: DiagnoseInit,
  directory: string | undefined,
  sending: RequestOptions,
): Promise<Finding[]> {
  const target = directory ?? repos().find(({ loaded }) => loaded)?.directory;
  if (target === undefined) {
    const summary = 'No repository is loaded, so nobody knows which providers can be asked.';
    return [{ level: 'warn', check: 'provider', summary, advice: 'Call diagnose({ directory }).' }];
  }
  const repo = repositoryOf(target, forRepo);
  if ('level' in repo) return [repo];
  const { providers } = await repo.config.providers(sending);
  // OpenCode 2 does not tell which model its configuration names.
  const config = await ifSupported(repo.config.get(sending));
  return [providerFinding(repo.directory, providers, config?.model)];
}

/** The repository, or why there is none. */
function repositoryOf(
  directory: string,
  forRepo: DiagnoseInit['forRepo'],
): ReturnType<DiagnoseInit['forRepo']> | Finding {
  try {
    return forRepo(directory);
  } catch (error) {
    if (error instanceof ClosedError) throw error;
    return { level: 'error', check: 'repository', summary: (error as Error).message };
  }
}

function providerFinding(
  directory: string,
  providers: readonly { readonly id: string; readonly options?: unknown }[],
  model: string | undefined,
): Finding {
  const check = 'provider';
  const signIn =
    'Run `opencode auth login`, set the key of a provider in the environment of the server, or give one in the option config.';
  if (providers.length === 0)
    return { level: 'error', check, summary: `No provider can be used in ${directory}.`, advice: signIn };
  const more = providers.length > MAX_NAMED ? ` and ${providers.length - MAX_NAMED} more` : '';
  const names = providers.slice(0, MAX_NAMED).map(({ id }) => id);
  const list = `${names.join(', ')}${more}`;
  const wanted = model?.split('/', 1)[0];
  if (wanted !== undefined && !providers.some(({ id }) => id === wanted)) {
    const summary = `The model of the configuration is ${model}, and its provider cannot be used: its key is missing. There are: ${list}.`;
    return { level: 'error', check, summary, advice: signIn };
  }
  if (providers.every(isFree)) {
    const summary = `Only the free models of OpenCode itself can be used in ${directory}; they need the network.`;
    return { level: 'warn', check, summary, advice: signIn };
  }
  const byDefault = model === undefined ? '' : `; the model is ${model}`;
  return { level: 'ok', check, summary: `Providers in ${directory}: ${list}${byDefault}.` };
}

/** OpenCode 1.18.33 always lists its own provider; without a key of the user it has this one. */
function isFree({ id, options }: { readonly id: string; readonly options?: unknown }): boolean {
  return id === 'opencode' && (options as { apiKey?: unknown } | undefined)?.apiKey === 'public';
}

function repositoryFindings(repos: readonly RepoOverview[]): Finding[] {
  const check = 'repository';
  const found = repos.flatMap(({ directory, error, pluginErrors }): Finding[] => [
    ...(error === undefined
      ? []
      : [
          {
            level: 'error' as const,
            check: 'repository' as const,
            summary: `The server cannot load ${directory}: ${error.message}`,
            advice: 'Repair it, then server.restart().',
          },
        ]),
    ...pluginErrors.map((text) => ({
      level: 'warn' as const,
      check: 'repository' as const,
      summary: `A plugin of ${directory} failed: ${text}`,
    })),
  ]);
  if (found.length > 0) return found;
  const loaded = repos.filter((repo) => repo.loaded).length;
  return [{ level: 'ok', check, summary: `Repositories: ${repos.length} used, ${loaded} loaded.` }];
}

function asksFinding({ repos, permissions = 'ask', now }: DiagnoseInit): Finding {
  const check = 'asks';
  const waiting = repos().flatMap(({ directory, holds }) =>
    holds
      .filter(({ kind, since }) => isAsk(kind) && now() - since >= UNANSWERED_MS)
      .map((hold) => `${describeHolds([hold], now())} in ${directory}`),
  );
  if (waiting.length > 0) {
    const summary = `Nobody answers: ${waiting.slice(0, MAX_NAMED).join(', ')}.`;
    const advice =
      'Answer the step of the turn, or repo.permissions and repo.questions; the options permissions and questions answer all.';
    return { level: 'warn', check, summary, advice };
  }
  const who =
    permissions === 'ask'
      ? 'wait for an answer of your application'
      : typeof permissions === 'string'
        ? `get the answer '${permissions}'`
        : 'are answered by your policy';
  return { level: 'ok', check, summary: `Permission requests ${who}; none waits for long.` };
}

function isAsk(kind: string): boolean {
  return kind === 'permission' || kind === 'question';
}
