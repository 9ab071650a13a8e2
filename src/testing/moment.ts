import { delay } from '../abort.js';

/** Lets everybody else go on first: what the server does later than its answer happens after a moment. */
export function moment(signal?: AbortSignal): Promise<void> {
  return delay(0, signal);
}
