import type { Finding } from '../../core/diagnosis.js';
import { findOrphans } from '../guards/orphans.js';
import type { ServerHandle } from '../server/handle.js';
import { diagnoseDataDirectory } from './data-directory.js';
import { diagnoseHost, thisHost } from './host.js';
import { diagnosePrograms } from './programs.js';

/** Looks at this machine: at the server where this process started it, and at this process. Starts nothing. */
export function diagnoseMachine(server: Pick<ServerHandle, 'environment' | 'dataDirectory'>): Finding[] {
  const env = server.environment?.();
  const { dataDirectory } = server;
  return [
    ...(env === undefined ? [] : diagnosePrograms(env)),
    ...(dataDirectory === undefined ? [] : [diagnoseDataDirectory(dataDirectory)]),
    orphansFinding(findOrphans()),
    ...diagnoseHost(thisHost(env)),
  ];
}

function orphansFinding(pids: readonly number[]): Finding {
  if (pids.length === 0) return { level: 'ok', check: 'orphans', summary: 'No server was left behind.' };
  return {
    level: 'warn',
    check: 'orphans',
    summary: `Servers of hosts that have ended still run: pid ${pids.join(', ')}.`,
    advice: 'The next JarvisOpenCode.start() ends them.',
  };
}
