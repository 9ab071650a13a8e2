import type { PtyConnection } from 'jarvis-opencode';

/** Reads what a terminal puts out until the text has appeared; returns all of it. */
export async function readUntil(connection: PtyConnection, text: string): Promise<string> {
  let seen = '';
  for await (const chunk of connection) {
    seen += chunk;
    if (seen.includes(text)) return seen;
  }
  throw new Error(`the output ended without ${JSON.stringify(text)}: ${JSON.stringify(seen)}`);
}
