/** A mock that is not closed. */
interface OpenMock {
  readonly url: string;
  /** The frames of the code that made it, one a line. */
  readonly stack: string;
}

/** The part of Node's `process` that shows the end of the process; a browser has none of it. */
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
/** The process that has our exit listeners while a mock is open. Kept, because a test sandbox loses its globals before the end. */
let host: HostProcess | undefined;

/**
 * Takes an origin for a mock. When the process ends, a warning on stderr names each mock that has not given its origin back,
 * with the place that made it.
 *
 * @param maker - the function the test called; the frames in the warning begin with its caller.
 * @returns a function that gives the origin back.
 * @throws {Error} when another open mock has the origin.
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
  if (open.size === 0) addExitListeners();
  open.set(url, mock);
  return () => {
    if (open.get(url) !== mock) return;
    open.delete(url);
    if (open.size === 0) removeExitListeners();
  };
}

/** The process itself: jest gives its tests a copy, whose listeners never run. */
function hostProcess(): HostProcess | undefined {
  const { process: given } = globalThis as { process?: Partial<HostProcess> };
  const process = given?.getBuiltinModule?.('node:process') ?? given;
  return typeof process?.on === 'function' && process.stderr !== undefined
    ? (process as HostProcess)
    : undefined;
}

function addExitListeners(): void {
  host = hostProcess();
  host?.on('beforeExit', warn);
  host?.on('exit', warn);
  host?.on('SIGTERM', warnAndEnd);
}

function removeExitListeners(): void {
  host?.off('beforeExit', warn);
  host?.off('exit', warn);
  host?.off('SIGTERM', warnAndEnd);
}

/** Writes to stderr itself: test runners replace the console and drop its output at the end of the process. */
function warn(): void {
  for (const { url, stack } of open.values()) {
    host?.stderr.write(
      `jarvis-opencode/testing: the mock at ${url} was never closed. It was made\n${stack}\n`,
    );
  }
  open.clear();
  removeExitListeners();
}

/** Vitest ends its workers by SIGTERM: without other listeners the signal must still end the process. */
function warnAndEnd(): void {
  warn();
  if (host?.listenerCount('SIGTERM') === 0) host.kill(host.pid, 'SIGTERM');
}

/** The stack frames from the caller of `maker` on. */
function stackFrom(maker: (...args: never[]) => unknown): string {
  const holder: { stack?: string } = {};
  const { captureStackTrace } = Error as { captureStackTrace?: (target: object, above: unknown) => void };
  // Only V8 can leave out the frames of this file.
  if (captureStackTrace === undefined) return new Error().stack ?? '';
  captureStackTrace(holder, maker);
  const [, ...frames] = (holder.stack ?? '').split('\n');
  return frames.join('\n');
}
