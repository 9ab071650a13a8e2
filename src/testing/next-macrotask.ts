import { abortable } from '../core/abort.js';

/**
 * Lets everybody else go on first: what the server does later than its answer happens after a moment. It needs no timer, so
 * fake timers that nobody advances stop nothing.
 */
export function nextMacrotask(signal?: AbortSignal): Promise<void> {
  return abortable(turnOfTheLoop(), signal);
}

function turnOfTheLoop(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
