import { isMainThread } from 'node:worker_threads';

/** What must not outlive this process. */
export interface EndsWithHost {
  /** Ends it at once, synchronously. */
  killNow(): void;
  /** Ends it in good order. */
  stop(): Promise<unknown>;
}

/** Milliseconds a server has to end its work when its host is told to end, and then again to end itself. */
export const HOST_SIGNAL_GRACE_MS = 1_000;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const alive = new Set<EndsWithHost>();
/** The signals this process was sent while something was alive. */
const received = new Set<NodeJS.Signals>();
let isStopping = false;

/**
 * Makes sure that `server` ends with this process; the returned function takes that back. There is one set of listeners
 * for all servers, attached with the first and removed with the last.
 *
 * - An exit, by itself, by `process.exit()` or by an exception: it is killed in the `exit` event.
 * - SIGINT, SIGTERM or SIGHUP of a process that listens for it itself: its listeners decide, as if this one were not there.
 * - The same of a process that does not listen: it is stopped in good order, then the process ends by that signal, so that its
 *   exit code is 128 + n in a shell. A second signal meanwhile ends everything at once.
 *
 * What ends this process without a word (SIGKILL, a worker thread that is terminated) is for the guards.
 */
export function endWithHost(server: EndsWithHost): () => void {
  if (alive.size === 0) attach();
  alive.add(server);
  return () => {
    if (alive.delete(server) && alive.size === 0) detach();
  };
}

function attach(): void {
  // First of all: a `process.exit()` in somebody's listener ends the process before later listeners are called.
  process.prependListener('exit', killAll);
  // A worker thread is not told of signals.
  if (isMainThread) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
}

function detach(): void {
  process.off('exit', killAll);
  for (const signal of SIGNALS) process.off(signal, onSignal);
  received.clear();
  isStopping = false;
}

function killAll(): void {
  for (const server of alive) server.killNow();
}

function onSignal(signal: NodeJS.Signals): void {
  const isRepeated = isStopping || received.has(signal);
  received.add(signal);
  if (process.listeners(signal).some((listener) => listener !== onSignal)) {
    stepAside(signal);
  } else if (isRepeated) {
    killAll();
    endBy(signal);
  } else {
    isStopping = true;
    void Promise.allSettled([...alive].map((server) => server.stop())).then(() => endBy(signal));
  }
}

/**
 * Leaves the signal to the host. Some of those who listen end the process only when nobody else listens, and look for that
 * while they are called: this listener is gone by then, and back when they are through.
 */
function stepAside(signal: NodeJS.Signals): void {
  process.off(signal, onSignal);
  setImmediate(() => {
    if (alive.size > 0 && !process.listeners(signal).includes(onSignal))
      process.prependListener(signal, onSignal);
  });
}

/** Without a listener the signal ends the process as it does by default. */
function endBy(signal: NodeJS.Signals): void {
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}
