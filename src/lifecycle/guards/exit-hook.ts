import { isMainThread } from 'node:worker_threads';

/** What is to be done when this process ends. */
export interface ExitHook {
  /** Ends the server at once, synchronously. */
  killNow(): void;
  /** Ends the server in good order. */
  stop(): Promise<unknown>;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const hooks = new Set<ExitHook>();
/** The signals this process has received while a hook was registered. */
const received = new Set<NodeJS.Signals>();
let isStopping = false;

/**
 * Registers what ends a server with this process; the returned function removes it. All hooks share one set of listeners, attached
 * with the first and removed with the last.
 *
 * - An exit, by itself, by `process.exit()` or by an exception: the `exit` event kills the server.
 * - SIGINT, SIGTERM or SIGHUP of a process that listens for it itself: its listeners decide, as if this one were not there.
 * - The same of a process that does not listen: the server is stopped in good order, then the process ends by that signal, so that
 *   its exit code is 128 + n in a shell. A second signal meanwhile ends everything at once.
 *
 * SIGKILL, and the end of a worker thread that is terminated, call no hook: the guards are for them.
 */
export function registerExitHook(hook: ExitHook): () => void {
  if (hooks.size === 0) attach();
  hooks.add(hook);
  return () => {
    if (hooks.delete(hook) && hooks.size === 0) detach();
  };
}

function attach(): void {
  // Before all others: a `process.exit()` in somebody's listener ends the process before later listeners are called.
  process.prependListener('exit', killAll);
  // A worker thread receives no signals.
  if (isMainThread) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
}

function detach(): void {
  process.off('exit', killAll);
  for (const signal of SIGNALS) process.off(signal, onSignal);
  received.clear();
  isStopping = false;
}

function killAll(): void {
  for (const hook of hooks) hook.killNow();
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
    void Promise.allSettled([...hooks].map((hook) => hook.stop())).then(() => endBy(signal));
  }
}

/**
 * Leaves the signal to the host. Some listeners end the process only when nobody else listens, and check that while they are
 * called: this listener is removed before, and attached again when they have run.
 */
function stepAside(signal: NodeJS.Signals): void {
  process.off(signal, onSignal);
  setImmediate(() => {
    if (hooks.size > 0 && !process.listeners(signal).includes(onSignal))
      process.prependListener(signal, onSignal);
  });
}

/** Without a listener the signal ends the process as it does by default. */
function endBy(signal: NodeJS.Signals): void {
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}
