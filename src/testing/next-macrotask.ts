import { abortable } from '../core/abort.js';

/**
 * Resolves in the next macrotask, so that work that is already queued runs first: the mock does then what the server does
 * after its answer. Uses no timer, so fake timers that nobody advances do not stop it.
 *
 * @param signal - rejects with its reason when it aborts first.
 */
export function nextMacrotask(signal?: AbortSignal): Promise<void> {
  return abortable(messageTask(), signal);
}

function messageTask(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
