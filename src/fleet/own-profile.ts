import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { startOptionChecks, type StartOptions } from '../app/jarvis-opencode.js';
import type { JarvisOptions } from '../app/options.js';
import { startServer } from '../app/start-server.js';
import { assertOptions, pickOptions, type OptionChecks } from '../core/checks.js';
import { HOST_SIGNAL_GRACE_MS } from '../lifecycle/server/handle.js';
import { parseServerOptions, serverOptionChecks, type ServerOptions } from '../lifecycle/server/options.js';
import { directoryCheck, OwnedServer } from '../lifecycle/server/owned-server.js';
import {
  assertLifetime,
  attempts,
  lifetimeOf,
  mergedOptions,
  type MemberPlan,
  type ProfileContext,
} from './member-plan.js';
import { lifetimeChecks, memberOptionChecks, type Lifetime } from './profiles.js';

/** A member that the fleet starts itself: the options of `JarvisOpenCode.start()`, and when it runs. */
export type OwnProfile = Omit<StartOptions, 'restore' | 'signal' | 'paths' | 'unref'> & Lifetime;

const { restore: _restore, signal: _signal, paths: _paths, unref: _unref, ...ofStart } = startOptionChecks;
const ownProfileChecks: OptionChecks<OwnProfile> = { ...ofStart, ...lifetimeChecks };

/** Plans a member that is a process of ours. @throws {TypeError} {@link RangeError} */
export function planOwn(profile: object, defaults: JarvisOptions, context: ProfileContext): MemberPlan {
  const { path, isFirst } = context;
  assertOptions(path, ownProfileChecks, profile, `${path}.`);
  const options = mergedOptions<OwnProfile>(profile, defaults, context);
  const plan = planProcess(options, isFirst);
  if (options.perRepo !== true) return plan;
  assertLifetime(options, path);
  if (options.port !== undefined && options.port !== 0)
    throw new TypeError(`Expected ${path} to have no port with perRepo: one server only could have it.`);
  const { dataDir } = options;
  const dataDirOf = (repository: string): string | undefined =>
    dataDir === undefined ? undefined : join(dataDir, folderOf(repository));
  return {
    ...plan,
    ofRepository: (repository) => planProcess({ ...options, dataDir: dataDirOf(repository) }, isFirst),
  };
}

/** The name of the folder for what belongs to a repository: readable, and unique for its path. */
function folderOf(repository: string): string {
  const name = basename(repository)
    .replaceAll(/[^\w.-]/g, '_')
    .slice(0, 40);
  return `${name}-${createHash('sha256').update(repository).digest('hex').slice(0, 12)}`;
}

function planProcess(options: OwnProfile, isFirst: boolean): MemberPlan {
  const plan = parseServerOptions(serverOptionsOf(options));
  const { dataDirectory, hostname, port, cwd, env, user } = plan;
  const { onSignal } = options;
  return {
    open: (signal) => startServer(options, signal),
    isOwned: true,
    paths: 'local',
    options: pickOptions(memberOptionChecks, options),
    nextAttempt: attempts(options.restart),
    ...lifetimeOf(options, isFirst),
    dataDirectory,
    environment: env,
    hasDataFile: (file) => existsSync(join(dataDirectory, file)),
    checkDirectory: directoryCheck(serverOptionsOf(options), { cwd, env }, undefined, user?.uid),
    resources: {
      dataDirectory,
      address: port === 0 ? undefined : `${hostname}:${port}`,
      trust: `trustProjectConfig: ${options.trustProjectConfig ?? true}, user: ${user?.uid ?? 'own'}`,
    },
    opened: (handle, client) => {
      if (onSignal === undefined || !(handle instanceof OwnedServer)) return;
      const { drainMs } = onSignal;
      handle.onHostSignal(() => client.close({ drainMs, graceMs: HOST_SIGNAL_GRACE_MS }));
    },
  };
}

function serverOptionsOf(options: OwnProfile): ServerOptions {
  return pickOptions<ServerOptions>(serverOptionChecks, options);
}
