import { deferred } from '../../core/abort.js';
import type { Clock } from '../../core/clock.js';
import type { AssistantMessage, Message, ToolPart, UserMessage } from '../../client/schema/message.js';
import type { SessionStatus } from '../../client/schema/session.js';
import type { EventScope, ServerEvents } from '../state/server-events.js';
import type { Ids } from '../state/ids.js';
import type { SessionWork } from '../state/instances.js';
import { nextMacrotask } from '../next-macrotask.js';
import { noTokens, type SessionStore } from '../state/session-store.js';

/** A command line of the user, and what it needs of the server. */
export interface ShellRunInit {
  readonly scope: EventScope;
  readonly ids: Ids;
  readonly events: ServerEvents;
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly sessionID: string;
  readonly agent: string;
  readonly model: { readonly providerID: string; readonly modelID: string };
  readonly messageID: string | undefined;
  readonly command: string;
  readonly output: string;
}

/** Runs a command line of the user in a session: stores a finished tool call without a call of the model. */
export class ShellRun implements SessionWork {
  readonly #init: ShellRunInit;
  readonly #ended = deferred();
  status: SessionStatus = { type: 'busy' };

  constructor(init: ShellRunInit) {
    this.#init = init;
  }

  /** Resolves when the command line has ended, which it does by itself at once. */
  abort(): Promise<void> {
    return this.#ended.promise;
  }

  kill(): void {
    this.#ended.resolve();
  }

  async run(): Promise<Message> {
    const { events, scope, sessionID } = this.#init;
    events.emit(scope, 'session.status', { sessionID, status: this.status });
    const message = this.#write();
    await nextMacrotask();
    this.status = { type: 'idle' };
    events.emitIdle(scope, sessionID);
    this.#ended.resolve();
    return message;
  }

  #write(): Message {
    const { scope, ids, store, clock, sessionID, agent, model, command, output } = this.#init;
    const start = clock.now();
    const promptID = this.#init.messageID ?? ids.next('msg');
    const prompt: UserMessage = {
      id: promptID,
      sessionID,
      role: 'user',
      time: { created: start },
      agent,
      model,
    };
    store.saveMessage(scope, prompt);
    const text = 'The following tool was executed by the user';
    const said = { id: ids.next('prt'), sessionID, messageID: promptID };
    store.savePart(scope, { ...said, type: 'text', text, synthetic: true });
    const info: AssistantMessage = {
      id: ids.next('msg'),
      sessionID,
      role: 'assistant',
      parentID: promptID,
      time: { created: start },
      ...model,
      mode: agent,
      agent,
      path: { cwd: scope.directory, root: scope.directory },
      cost: 0,
      tokens: noTokens(),
    };
    store.saveMessage(scope, info);
    const input = { command };
    const part: ToolPart = {
      id: ids.next('prt'),
      sessionID,
      messageID: info.id,
      type: 'tool',
      tool: 'bash',
      callID: ids.next('call'),
      state: { status: 'running', input, time: { start } },
    };
    store.savePart(scope, part);
    const end = clock.now();
    info.time.completed = end;
    store.saveMessage(scope, info);
    const metadata = { output };
    part.state = { status: 'completed', input, output, title: '', metadata, time: { start, end } };
    store.savePart(scope, part);
    return { info, parts: [part] };
  }
}
