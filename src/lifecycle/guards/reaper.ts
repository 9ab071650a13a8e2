import { spawn } from 'node:child_process';
import { REAPER_SCRIPT, REAPER_SHELL } from './reaper-script.js';
import type { ProcessEntry } from '../process/process-table.js';

/** What the reaper knows of the server. The more it knows, the more of its work it does in good order. */
export interface ReaperTask {
  /** Stands in the environment of every process that is to end. */
  readonly markerText: string;
  /** The server process, once there is one. */
  readonly pid?: number | undefined;
  readonly startTime?: ProcessEntry['startTime'] | undefined;
  /** Where the server listens, once it does, and the value of its `authorization` header. */
  readonly url?: string | undefined;
  readonly authorization?: string | undefined;
  /** The file to remove at the end. */
  readonly record?: string | undefined;
}

/**
 * A small process that outlives this one and then ends its server. It is a shell that waits for the end of a pipe which only this
 * process holds. Then it has `POST /global/dispose` sent (2 s at most) and kills the server's group, its descendants and every
 * process that carries its marker.
 *
 * It costs 1.7 MB of resident memory per server, 0.1 MB of it its own (`dash`, Linux x64; a waiting Node would take 42 MB and
 * 7 MB). Node is started only at the end of the host, for some 0.2 s. Where `process.execPath` is not plain Node or Bun (Electron, a
 * single executable application, Deno), where starting it could start the application, the shell kills without disposing.
 *
 * Secrets go through the pipe: they are in no command line, environment or file.
 */
export class Reaper {
  readonly pid: number | undefined;
  readonly #write: (line: string) => void;
  readonly #end: () => void;

  private constructor(child: {
    readonly pid: number | undefined;
    readonly write: (line: string) => void;
    readonly end: () => void;
  }) {
    this.pid = child.pid;
    this.#write = child.write;
    this.#end = child.end;
  }

  /** Starts one; `undefined` on Windows, which has no shell for it. `onFailure` is called when it cannot be started. */
  static start(task: ReaperTask, onFailure: (error: unknown) => void): Reaper | undefined {
    if (process.platform === 'win32') return undefined;
    const child = spawn(
      '/bin/sh',
      ['-c', REAPER_SHELL, 'jarvis-opencode-reaper', scriptRuntime(), task.markerText],
      {
        // Out of reach of the terminal's signals, and of those to the host's group.
        detached: true,
        cwd: '/',
        env: { PATH: '/usr/local/bin:/usr/bin:/bin', JARVIS_OPENCODE_REAPER: REAPER_SCRIPT },
        stdio: ['pipe', 'ignore', 'ignore'],
      },
    );
    child.once('error', onFailure);
    // One that could not be started may have no pipe either.
    if (child.pid === undefined) return undefined;
    child.stdin.on('error', onFailure);
    child.unref();
    // A pipe that waits for nothing must not keep this process alive.
    const stdin = child.stdin as typeof child.stdin & { unref?(): void };
    stdin.unref?.();
    const reaper = new Reaper({
      pid: child.pid,
      write: (line) => child.stdin.write(line),
      end: () => child.stdin.end(),
    });
    reaper.update(task);
    return reaper;
  }

  /** Replaces its task. */
  update(task: ReaperTask): void {
    this.#write(`${task.pid ?? 0} ${JSON.stringify(task)}\n`);
  }

  /** Has it end without doing anything. */
  release(): void {
    this.#write('\n');
    this.#end();
  }
}

/** The executable that runs the script, or nothing where that could start the application again. */
function scriptRuntime(): string {
  const { versions } = process;
  const isApplication =
    'electron' in versions ||
    'deno' in versions ||
    'pkg' in process ||
    (process.getBuiltinModule?.('node:sea') as { isSea?(): boolean } | undefined)?.isSea?.() === true;
  return isApplication ? '' : process.execPath;
}
