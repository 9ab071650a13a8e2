import { deferred } from '../../core/abort.js';
import type { SessionInfo } from '../../client/schema/session.js';
import { nextMacrotask } from '../next-macrotask.js';
import type { ScriptedServer } from '../scripted-server.js';
import { PromptRefusedError } from '../state/catalog.js';
import type { Instance } from '../state/instances.js';
import type { Entries } from './entries.js';
import type { StructuredError } from './errors.js';
import type { OpenCode2Events } from './event-stream.js';
import type { Inbox, InboxItem } from './inbox.js';
import type { OpenCode2Narrator } from './narrator.js';
import { titleOf, type SelectedModel } from './session-info.js';
import type { StepEnd } from './step-narrator.js';

/** A title is never longer, in UTF-16 code units. */
const MAX_TITLE_LENGTH = 50;

/** What an execution needs of the server. */
export interface ExecutionInit {
  readonly server: ScriptedServer;
  readonly events: OpenCode2Events;
  readonly entries: Entries;
  readonly narrator: OpenCode2Narrator;
  readonly inbox: Inbox;
  readonly session: SessionInfo;
  readonly agent: string;
  readonly model: SelectedModel;
}

type End = StepEnd | { readonly type: 'interrupted' };

/** One execution of a session: it answers the prompts of its inbox until none is left. */
export class Execution {
  readonly #init: ExecutionInit;
  readonly #ended = deferred();
  #isInterrupted = false;
  #isKilled = false;
  #isOver = false;

  constructor(init: ExecutionInit) {
    this.#init = init;
  }

  /** Resolves when its last event is sent, or when it is killed. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Runs it. @returns whether the rest of the inbox is to be answered by another one; `undefined` when it was killed. */
  async run(): Promise<boolean | undefined> {
    const { inbox, session } = this.#init;
    // The client gets the receipt of its prompt first.
    await nextMacrotask();
    if (this.#isKilled) return undefined;
    this.#tell('started');
    const end = await this.#answerAll();
    if (this.#isKilled) return undefined;
    this.#isOver = true;
    if (end.type === 'failed') this.#tell('failed', { error: end.error });
    else if (end.type === 'declined') this.#tell('interrupted', { reason: 'shutdown' });
    else if (end.type === 'ended') this.#tell('succeeded');
    else this.#tell('interrupted', { reason: 'user' });
    this.#ended.resolve();
    const isLeft = inbox.items.length > 0 && this.#init.server.sessions.find(session.id) !== undefined;
    // A prompt whose agent does not exist was not delivered.
    return isLeft && end.type !== 'interrupted' && this.#init.server.catalog.hasAgent(this.#init.agent);
  }

  /** Ends it as the user wishes; `false` when it is over. */
  interrupt(): boolean {
    if (this.#isOver || this.#isKilled) return false;
    const { server, session } = this.#init;
    this.#isInterrupted = true;
    const instance = server.instances.find(session.directory);
    instance?.asks.withdraw(session.id);
    if (instance !== undefined) void server.turns.abort(instance, session.id);
    return true;
  }

  /** Ends it like a process that is killed: it tells nothing any more. */
  kill(): void {
    this.#isKilled = true;
    this.#ended.resolve();
  }

  async #answerAll(): Promise<End> {
    const { inbox, server, agent } = this.#init;
    if (!server.catalog.hasAgent(agent))
      return failure('unknown', `Agent not found: ${JSON.stringify(agent)}`);
    let end: End = { type: 'ended' };
    while (end.type === 'ended' && !this.#isKilled && inbox.items.length > 0)
      end = await this.#answer(inbox.take());
    return this.#isInterrupted ? { type: 'interrupted' } : end;
  }

  async #answer(items: readonly InboxItem[]): Promise<End> {
    const { server, narrator, session } = this.#init;
    if (this.#isInterrupted) return { type: 'interrupted' };
    const instance = server.instances.use(session.directory);
    instance.warmUp = 'done';
    narrator.begin(session.id);
    for (const item of items) this.#deliver(item);
    const last = items.at(-1);
    if (last === undefined) return { type: 'ended' };
    this.#name(instance, last.payload.text);
    try {
      for (const item of items) await this.#prompt(instance, item, item !== last);
    } catch (error) {
      if (!(error instanceof PromptRefusedError)) throw error;
      const { providerID, id } = this.#init.model;
      return failure('provider.no-route', `Model unavailable: ${providerID}/${id}`);
    }
    const end = narrator.lastEnd(session.id) ?? { type: 'ended' };
    return end.type === 'aborted' ? { type: 'interrupted' } : end;
  }

  /** Hands a prompt to the model loop, which answers the last of several. */
  async #prompt(instance: Instance, { id, payload }: InboxItem, noReply: boolean): Promise<void> {
    const { server, session, agent, model } = this.#init;
    const { id: modelID, providerID, variant } = model;
    await server.turns.prompt(instance, session, {
      messageID: id,
      parts: [{ type: 'text', text: payload.text }],
      agent,
      model: { modelID, providerID, ...(variant !== undefined && { variant }) },
      noReply,
      tools: {},
      format: undefined,
    });
  }

  #deliver(item: InboxItem): void {
    const { events, entries, session } = this.#init;
    const { id: sessionID, directory } = session;
    if (entries.of(sessionID).every(({ type }) => type !== 'user')) {
      const delta = { 'core/environment': '0'.repeat(64), 'core/date': '1'.repeat(64) };
      const metadata = { instructions: { initial: true } };
      events.send(directory, 'session.instructions.updated', { sessionID, delta }, metadata);
    }
    const created = this.#init.server.clock.now();
    item.time.created = created;
    entries.add(sessionID, { id: item.id, time: { created }, ...item.payload, type: 'user' });
    events.send(directory, 'session.inbox.delivered', { sessionID, inboxID: item.id });
  }

  /** Lets the model name an untitled session after its first prompt. */
  #name(instance: Instance, text: string): void {
    const { server, narrator, events, session } = this.#init;
    if (titleOf(session) !== undefined || session.parentID !== undefined) return;
    const title = text.split('\n', 1)[0]?.slice(0, MAX_TITLE_LENGTH) ?? '';
    if (title === '') return;
    events.skip(session.id);
    narrator.titled(session.id);
    server.sessions.setTitle(instance, session.id, title);
  }

  #tell(what: 'started' | 'succeeded' | 'failed' | 'interrupted', more: object = {}): void {
    const { events, session } = this.#init;
    events.send(undefined, `session.execution.${what}`, { sessionID: session.id, ...more });
  }
}

function failure(type: string, message: string): { type: 'failed'; error: StructuredError } {
  return { type: 'failed', error: { type, message } };
}
