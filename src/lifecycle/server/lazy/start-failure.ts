import { JarvisError, ServerStartError } from '../../../errors.js';

/** The error of a start that failed, which names the server; what the server itself answered stays as it is. */
export function startFailure(label: string, error: unknown): unknown {
  if (error instanceof ServerStartError) {
    const { command, exitCode, recentOutput } = error;
    // The output follows again behind the new message.
    const [why = ''] = error.message.split(' Last output:\n');
    const message = `Could not start ${label}: ${why}`;
    return new ServerStartError({ message, command, exitCode, recentOutput }, { cause: error });
  }
  if (error instanceof JarvisError || error instanceof TypeError || error instanceof RangeError) return error;
  const what = error instanceof Error ? error.message : String(error);
  return new ServerStartError(
    { message: `Could not start ${label}: ${what}.`, command: 'open()' },
    { cause: error },
  );
}
