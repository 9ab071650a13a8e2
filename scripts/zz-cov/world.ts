import { AgentsResource } from '../../src/client/resources/agents.js';
import { CommandsResource } from '../../src/client/resources/commands.js';
import { ConfigResource } from '../../src/client/resources/config.js';
import { FilesResource } from '../../src/client/resources/files.js';
import { FindResource } from '../../src/client/resources/find.js';
import { FormatterResource } from '../../src/client/resources/formatter.js';
import { LogResource } from '../../src/client/resources/log.js';
import { LspResource } from '../../src/client/resources/lsp.js';
import { ProjectResource } from '../../src/client/resources/project.js';
import { ProvidersResource } from '../../src/client/resources/providers.js';
import { SkillsResource } from '../../src/client/resources/skills.js';
import { ToolsResource } from '../../src/client/resources/tools.js';
import { VcsResource } from '../../src/client/resources/vcs.js';
import { Http } from '../../src/client/http.js';
import { RepoTransport } from '../../src/client/repo-transport.js';
import { JarvisOpenCode, type RepoClient, type ServerHandle, type Session } from 'jarvis-opencode';
import { matchOperation, operationsOf, type OpenApi, type Operation } from './doc.js';
import { samplesOf, type Samples } from './schema.js';
import type { ApiRepo } from './calls.js';

/** A request as it left the library. */
export interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: unknown;
  /** `undefined` when the document knows no such operation. */
  readonly operation: Operation | undefined;
}

/** The directory of the one repository. */
export const DIRECTORY = '/repo';
/** The ids that made-up answers carry, and calls therefore ask for. */
export const IDS = {
  session: 'ses_1',
  message: 'msg_1',
  part: 'prt_1',
  permission: 'per_1',
  question: 'que_1',
  pty: 'pty_1',
} as const;

interface WireMessage {
  readonly info: Readonly<Record<string, unknown>>;
  readonly parts: unknown;
}

/** One client on a server that exists only as its document: it records what it is asked and makes up what it answers. */
export class World implements AsyncDisposable {
  readonly jarvis: JarvisOpenCode;
  readonly repo: ApiRepo;
  readonly session: Session;
  /** What was sent since it was last emptied. */
  readonly sent: SentRequest[] = [];
  /** Which of the samples of a response is answered; the last one where there are fewer. */
  sample = 0;
  /** How many samples the responses asked for have, at most. */
  sampleCount = 0;
  readonly #operations: readonly Operation[];
  readonly #samples: Samples;
  readonly #cache = new Map<Operation, unknown[]>();
  #events: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** The message that began the last turn. */
  #prompted: string | undefined;

  private constructor(doc: OpenApi, newer: boolean) {
    this.#operations = operationsOf(doc);
    this.#samples = { definitions: doc.components?.schemas ?? {}, texts: { directory: DIRECTORY }, newer };
    this.jarvis = new JarvisOpenCode(handle(), {
      idle: false,
      fetch: (input, init) => this.#fetch(new Request(input, init)),
    });
    const repo: RepoClient = this.jarvis.forRepo(DIRECTORY);
const tr = new RepoTransport(new Http({endpoint:()=>({url:'http://127.0.0.1:9'}),signal:new AbortController().signal,fetch:(i:any,x:any)=>this.#fetch(new Request(i,x))} as any), DIRECTORY, async()=>()=>undefined);
Object.assign(repo,{agents:(repo as any).agents ?? new AgentsResource(tr),commands:(repo as any).commands ?? new CommandsResource(tr),config:(repo as any).config ?? new ConfigResource(tr),files:(repo as any).files ?? new FilesResource(tr),find:(repo as any).find ?? new FindResource(tr),formatter:(repo as any).formatter ?? new FormatterResource(tr),log:(repo as any).log ?? new LogResource(tr),lsp:(repo as any).lsp ?? new LspResource(tr),project:(repo as any).project ?? new ProjectResource(tr),providers:(repo as any).providers ?? new ProvidersResource(tr),skills:(repo as any).skills ?? new SkillsResource(tr),tools:(repo as any).tools ?? new ToolsResource(tr),vcs:(repo as any).vcs ?? new VcsResource(tr)});
    this.repo = repo as ApiRepo;
    this.session = repo.sessions.session(IDS.session);
  }

  /** Makes a world in which the session is known to be of the repository, so that no call has to ask first. */
  static async make(doc: OpenApi, { newer = false } = {}): Promise<World> {
    const world = new World(doc, newer);
    await world.session.refresh();
    world.sent.length = 0;
    world.sampleCount = 0;
    return world;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.jarvis.close();
  }

  async #fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const text = await request.text();
    const operation = matchOperation(this.#operations, request.method, url.pathname);
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const { method, headers } = request;
    this.sent.push({ method, path: url.pathname, query: url.searchParams, headers, body, operation });
    if (operation === undefined) return Response.json({ name: 'NotFoundError' }, { status: 404 });
    return this.#answer(operation, body, request.signal);
  }

  #answer(operation: Operation, body: unknown, signal: AbortSignal): Response {
    switch (operation.name) {
      case 'GET /global/event':
        return this.#stream(signal);
      case 'POST /session/{sessionID}/prompt_async':
      case 'POST /session/{sessionID}/command':
      case 'POST /session/{sessionID}/shell':
      case 'POST /session/{sessionID}/init':
        this.#prompted = (body as { messageID?: string } | undefined)?.messageID;
        break;
      case 'POST /instance/dispose':
        this.#emitSoon('server.instance.disposed', { directory: DIRECTORY });
        break;
      case 'POST /global/dispose':
        this.#emitSoon('global.disposed', {});
        break;
      case 'POST /experimental/worktree':
        this.#emitSoon('worktree.ready', { name: 'text', branch: 'text' });
        break;
      default:
    }
    const { status, contentType, schema } = operation.success;
    if (contentType === undefined || schema === undefined) return new Response(null, { status });
    let samples = this.#samplesOf(operation);
    if (operation.name === 'GET /session/{sessionID}/message' && this.#prompted !== undefined) {
      samples = [turnOf(this.#prompted, samples)];
    }
    this.sampleCount = Math.max(this.sampleCount, samples.length);
    const answer = samples[Math.min(this.sample, samples.length - 1)];
    const text = contentType.includes('json') ? JSON.stringify(answer) : String(answer);
    return new Response(text, { status, headers: { 'content-type': contentType } });
  }

  #samplesOf(operation: Operation): unknown[] {
    let samples = this.#cache.get(operation);
    if (samples === undefined) {
      samples =
        operation.success.schema === undefined ? [] : samplesOf(operation.success.schema, this.#samples);
      this.#cache.set(operation, samples);
    }
    return samples;
  }

  #stream(signal: AbortSignal): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#events = controller;
        signal.addEventListener('abort', () => controller.error(signal.reason), { once: true });
      },
    });
    this.#emit('server.connected', {});
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  }

  /** The server answers first. */
  #emitSoon(type: string, properties: object): void {
    setTimeout(() => this.#emit(type, properties), 1);
  }

  #emit(type: string, properties: object): void {
    const envelope = { directory: DIRECTORY, payload: { id: 'evt_1', type, properties } };
    this.#events?.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(envelope)}\n\n`));
  }
}

/** The messages of a session whose turn has ended, made of the sample messages. */
function turnOf(messageID: string, samples: readonly unknown[]): WireMessage[] {
  const messages = samples.flat() as WireMessage[];
  const ofRole = (role: string, info: object): WireMessage[] => {
    const message = messages.find((one) => one.info['role'] === role);
    return message === undefined ? [] : [{ ...message, info: { ...message.info, ...info } }];
  };
  return [
    ...ofRole('user', { id: messageID }),
    ...ofRole('assistant', { id: 'msg_2', parentID: messageID, time: { created: 1, completed: 2 } }),
  ];
}

function handle(): ServerHandle {
  return {
    url: 'http://127.0.0.1:9',
    version: '1.18.33',
    pid: undefined,
    state: 'ready',
    closed: new Promise(() => undefined),
    on: () => () => undefined,
    stop: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
