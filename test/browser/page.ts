// What the page of the tests can do: a bundle of this file runs in the browser, with the browser's entries of the library.
import { isJarvisError, JarvisOpenCode, type EventStream } from 'jarvis-opencode';
import { mockOpenCode } from 'jarvis-opencode/testing';
import { setupWorker } from 'msw/browser';

let client: JarvisOpenCode | undefined;
let gaps: EventStream<'jarvis.gap'> | undefined;

function jarvis(): JarvisOpenCode {
  if (client === undefined) throw new Error('The page has no client.');
  return client;
}

/** The functions that a test calls in the page, by name. Arguments and results go through JSON. */
export const calls = {
  /** Connects the client of the page; gives the version of the server. */
  async connect(options: { readonly url: string; readonly password: string }): Promise<string> {
    client = await JarvisOpenCode.connect({ ...options, idle: false });
    return client.server.version;
  },

  /** How a connection fails. */
  async failure(url: string): Promise<{ code?: string; message: string; isRedirect?: boolean }> {
    try {
      await JarvisOpenCode.connect({ url, idle: false });
      return { message: 'connected' };
    } catch (error) {
      if (!isJarvisError(error)) return { message: String(error) };
      const { code, message } = error;
      return code === 'CONNECTION_FAILED'
        ? { code, message, isRedirect: error.isRedirect }
        : { code, message };
    }
  },

  /** Runs one turn, allows what it asks for and answers its questions; gives what the page saw of it. */
  async turn(
    directory: string,
    prompt: string,
  ): Promise<{ pieces: number; text: string; asked: string[]; output: string[] }> {
    const session = await jarvis().forRepo(directory).sessions.create();
    const turn = session.stream(prompt);
    const seen = { pieces: 0, text: '', asked: [] as string[], output: [] as string[] };
    for await (const step of turn) {
      if (step.type === 'text') {
        seen.pieces += 1;
        seen.text += step.delta;
        document.title = seen.text;
      } else if (step.type === 'permission') {
        seen.asked.push(step.request.permission);
        await step.allow();
      } else if (step.type === 'question') {
        seen.asked.push('question');
        await step.answer([['blue']]);
      } else if (step.type === 'tool' && step.status === 'completed') {
        seen.output.push(step.output ?? '');
      }
    }
    await turn.result;
    return seen;
  },

  /** Types a line into a terminal, until the terminal prints `expected`; gives the code that it ends with. */
  async terminal(directory: string, line: string, expected: string): Promise<number | undefined> {
    const { pty } = jarvis().forRepo(directory);
    const { id } = await pty.create({ command: '/bin/sh' });
    const connection = await pty.connect(id);
    connection.write(`${line}\r`);
    let output = '';
    for await (const piece of connection) {
      output += piece;
      if (output.includes(expected)) break;
    }
    await connection.close();
    await pty.remove(id);
    return (await connection.closed).code;
  },

  /** Begins to watch for gaps in the events. */
  async watch(): Promise<void> {
    gaps = jarvis().events({ types: ['jarvis.gap'] });
    await gaps.ready;
  },

  /** The reason of the next gap. */
  async nextGap(): Promise<string> {
    for await (const event of gaps ?? []) if (event.type === 'jarvis.gap') return event.properties.reason;
    return 'none';
  },

  /** Answers all requests to a mock in a service worker, and runs a turn on it. */
  async mock(): Promise<{ text: string; requests: number }> {
    const opencode = mockOpenCode();
    const worker = setupWorker(...opencode.handlers);
    await worker.start({ quiet: true, onUnhandledRequest: 'bypass' });
    opencode.reply('from the worker');
    const connected = await opencode.client();
    const session = await connected.forRepo('/home/me/app').sessions.create();
    const { text } = await session.prompt('hello');
    const requests = opencode.requests().length;
    await opencode.close();
    worker.stop();
    return { text, requests };
  },

  async close(): Promise<void> {
    await client?.close();
  },
};

export type Calls = typeof calls;

Object.assign(globalThis, { calls });
