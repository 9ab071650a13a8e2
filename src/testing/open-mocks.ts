/** A mock that nobody has closed. */
interface OpenMock {
  readonly url: string;
  /** Where it was made. */
  readonly stack: string;
}

/** What Node offers to see the end of a process; a browser has nothing of it. */
interface HostProcess {
  on(event: 'exit' | 'beforeExit', listener: () => void): unknown;
  off(event: 'exit' | 'beforeExit', listener: () => void): unknown;
}

const open = new Map<string, OpenMock>();

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
        `It was made${other.stack}`,
    );
  }
  const mock = { url, stack: stackFrom(maker) };
  if (open.size === 0) watchExit('on');
  open.set(url, mock);
  return () => {
    if (open.get(url) !== mock) return;
    open.delete(url);
    if (open.size === 0) watchExit('off');
  };
}

function warn(): void {
  for (const { url, stack } of open.values()) {
    globalThis.console.warn(
      `jarvis-opencode/testing: the mock at ${url} was never closed. It was made${stack}`,
    );
  }
  open.clear();
}

function watchExit(way: 'on' | 'off'): void {
  const { process } = globalThis as { process?: Partial<HostProcess> };
  for (const event of ['beforeExit', 'exit'] as const) process?.[way]?.(event, warn);
}

/** The frames of whoever called `maker`. */
function stackFrom(maker: (...args: never[]) => unknown): string {
  const holder: { stack?: string } = {};
  const { captureStackTrace } = Error as { captureStackTrace?: (target: object, above: unknown) => void };
  // Other engines than V8 show the frames of this file too.
  if (captureStackTrace === undefined) return `\n${new Error().stack ?? ''}`;
  captureStackTrace(holder, maker);
  const [, ...frames] = (holder.stack ?? '').split('\n');
  return `\n${frames.join('\n')}`;
}
