import { UnsupportedOperationError } from '../../errors.js';

/** The outcome of a call; `undefined` when the server has no such operation. */
export async function ifSupported<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof UnsupportedOperationError) return undefined;
    throw error;
  }
}
