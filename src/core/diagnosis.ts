/** What a finding is about. */
export type DiagnosisCheck =
  /** Whether the server answers. */
  | 'server'
  /** Whether this library was measured with its version. */
  | 'version'
  /** Whether a model can be asked. */
  | 'provider'
  /** Whether the server can load what was used so far. */
  | 'repository'
  /** Whether what sessions ask gets an answer. */
  | 'asks'
  /** The programs that the server needs; only of a server that this process started. */
  | 'git'
  | 'ripgrep'
  /** Where the server keeps sessions and credentials; likewise. */
  | 'data-directory'
  /** Servers of hosts that have ended; only where there is a process table. */
  | 'orphans'
  /** What surrounds this process: directories, proxy, pid 1, system; not in a browser. */
  | 'host';

/** One result of `diagnose()`. */
export interface Finding {
  /** `error`: something does not work. `warn`: it may not, or costs something. `ok`: it was looked at, and is fine. */
  readonly level: 'ok' | 'warn' | 'error';
  readonly check: DiagnosisCheck;
  /** What was found, as a sentence. It may name directories, and has no secret. */
  readonly summary: string;
  /** What to do, where something can be done. */
  readonly advice?: string | undefined;
}

/**
 * The findings of `diagnose()` as text, a line for each and one for its advice.
 *
 * @example
 * ```ts
 * console.log(formatDiagnosis(await jarvis.diagnose()));
 * ```
 */
export function formatDiagnosis(findings: readonly Finding[]): string {
  return findings
    .map(({ level, check, summary, advice }) => {
      const line = `${level.padEnd(5)} ${check}: ${summary}`;
      return advice === undefined ? line : `${line}\n      -> ${advice}`;
    })
    .join('\n');
}
