import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { JarvisOpenCode, type Session } from 'jarvis-opencode';
import { realOpenCode, type MockScript } from 'jarvis-opencode/testing';

/** What a real server sent on `/global/event` during one turn, of the turn's repository. */
export interface RecordedTurn {
  readonly directory: string;
  readonly sessionID: string;
  /** The data of the frames that came with each read. */
  readonly reads: readonly (readonly string[])[];
}

/** A file of the repository, for the model to work on. */
export interface RepositoryFile {
  readonly path: string;
  readonly content: string;
}

/** Has a real server run one turn of the script in a repository with this file, and records what it sends meanwhile. */
export async function recordTurn(script: MockScript, file: RepositoryFile): Promise<RecordedTurn> {
  const reads: string[][] = [];
  // Snapshots are on by default, and make events; the kit switches them off.
  await using opencode = await realOpenCode({ config: { snapshot: true } });
  await using jarvis = await JarvisOpenCode.connect({
    ...opencode.connectOptions,
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      return response.url.endsWith('/global/event') ? recorded(response, reads) : response;
    },
  });
  const directory = await opencode.repo();
  await mkdir(dirname(join(directory, file.path)), { recursive: true });
  await writeFile(join(directory, file.path), file.content);
  const session = await jarvis.forRepo(directory).sessions.create();
  // What an instance tells once, it tells in its first turn.
  await session.prompt('Hello');

  await rename(session, 'begins');
  const begin = reads.length;
  opencode.script(script);
  await session.prompt('Fix the test that fails.');
  await rename(session, 'ends');
  const isOwn = (data: string): boolean => data.startsWith(`{"directory":${JSON.stringify(directory)},`);
  const own = reads.slice(begin).map((read) => read.filter(isOwn));
  return { directory, sessionID: session.id, reads: own.filter((read) => read.length > 0) };
}

/** Makes an event after all events of the session so far, and waits for it. */
async function rename(session: Session, title: string): Promise<void> {
  await using events = session.events({ types: ['session.updated'] });
  await events.ready;
  await session.update({ title });
  for await (const event of events) {
    if (event.type === 'session.updated' && event.properties.info.title === title) return;
  }
}

/** Keeps what is read of the stream. */
function recorded({ body, status, headers }: Response, reads: string[][]): Response {
  const decoder = new TextDecoder();
  let rest = '';
  const recorder = new TransformStream<Uint8Array, Uint8Array>({
    transform(bytes, controller) {
      const frames = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
      rest = frames.pop() ?? '';
      reads.push(frames.map((frame) => frame.replace(/^data: /, '')));
      controller.enqueue(bytes);
    },
  });
  return new Response(body?.pipeThrough(recorder), { status, headers });
}
