/** A mock that nobody has closed. */
interface OpenMock {
  readonly url: string;
  /** Where it was made. */
  readonly stack: string;
}

/** What Node offers to see the end of a process; a browser has nothing of it. */
interface HostProcess {
  readonly pid: number;
  readonly stderr: { write(text: string): unknown };
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
  listenerCount(event: string): number;
  kill(pid: number, signal: string): unknown;
  getBuiltinModule?(id: 'node:process'): Partial<HostProcess> | undefined;
}

const open = new Map<string, OpenMock>();
/** The process whose end is watched, while a mock is open: a sandbox is emptied before that end. */
let host: HostProcess | undefined;

/**
 * Takes an origin for a mock. Whoever does not give it back is told at the end of the process, with the place it was made.
 *
 * @returns gives it back.
 * @throws {Error} when another mock has it.
 */
export function takeOrigin(url: string, maker: (...args: never[]) => unknown): () => void {
  const other = open.get(url);
  if (other !== undefined) {
    throw new Error(
      `Another mock at ${url} is still open: close it first, or leave out url, so that each has its own.\n` +
        `It was made\n${other.stack}`,
    );
  }
  const mock = { url, stack: stackFrom(maker) };
  if (open.size === 0) watchEnd();
  open.set(url, mock);
  return () => {
    if (open.get(url) !== mock) return;
    open.delete(url);
    if (open.size === 0) unwatchEnd();
  };
}

/** The process itself: jest gives its tests a copy, which nobody tells of the end. */
function hostProcess(): HostProcess | undefined {
  const { process: given } = globalThis as { process?: Partial<HostProcess> };
  const process = given?.getBuiltinModule?.('node:process') ?? given;
  return typeof process?.on === 'function' && process.stderr !== undefined
    ? (process as HostProcess)
    : undefined;
}

function watchEnd(): void {
  host = hostProcess();
  host?.on('beforeExit', warn);
  host?.on('exit', warn);
  host?.on('SIGTERM', warnAndEnd);
}

function unwatchEnd(): void {
  host?.off('beforeExit', warn);
  host?.off('exit', warn);
  host?.off('SIGTERM', warnAndEnd);
}

/** Written past the console, which test runners catch, and have let go of at this time. */
function warn(): void {
  for (const { url, stack } of open.values()) {
    host?.stderr.write(
      `jarvis-opencode/testing: the mock at ${url} was never closed. It was made\n${stack}\n`,
    );
  }
  open.clear();
  unwatchEnd();
}

/** Vitest ends its workers by a signal; a listener of ours must not keep it from doing so. */
function warnAndEnd(): void {
  warn();
  if (host?.listenerCount('SIGTERM') === 0) host.kill(host.pid, 'SIGTERM');
}

/** The frames of whoever called `maker`. */
function stackFrom(maker: (...args: never[]) => unknown): string {
  const holder: { stack?: string } = {};
  const { captureStackTrace } = Error as { captureStackTrace?: (target: object, above: unknown) => void };
  // Other engines than V8 show the frames of this file too.
  if (captureStackTrace === undefined) return new Error().stack ?? '';
  captureStackTrace(holder, maker);
  const [, ...frames] = (holder.stack ?? '').split('\n');
  return frames.join('\n');
}
