/** Reads the output of a terminal, or a stream of text, until the text has appeared; returns all of it. */
export async function readUntil(output: AsyncIterable<string>, text: string): Promise<string> {
  let seen = '';
  for await (const chunk of output) {
    seen += chunk;
    if (seen.includes(text)) return seen;
  }
  throw new Error(`the output ended without ${JSON.stringify(text)}: ${JSON.stringify(seen)}`);
}
