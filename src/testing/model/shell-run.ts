import { deferred } from '../../core/abort.js';
import type { Clock } from '../../core/clock.js';
import type { AssistantMessage, Message, ToolPart, UserMessage } from '../../client/schema/message.js';
import type { SessionStatus } from '../../client/schema/session.js';
import type { EventBus, Place } from '../state/event-bus.js';
import type { Ids } from '../state/ids.js';
import type { SessionWork } from '../state/instances.js';
import { moment } from '../next-macrotask.js';
import { noTokens, type SessionStore } from '../state/session-store.js';

/** What a command line of the user needs of the server. */
export interface ShellRunInit {
  readonly place: Place;
  readonly ids: Ids;
  readonly events: EventBus;
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly sessionID: string;
  readonly agent: string;
  readonly model: { readonly providerID: string; readonly modelID: string };
  readonly messageID: string | undefined;
  readonly command: string;
  readonly output: string;
}

/** A command line that the user runs in a session: a finished tool without a call of the model. */
export class ShellRun implements SessionWork {
  readonly #init: ShellRunInit;
  readonly #ended = deferred();
  status: SessionStatus = { type: 'busy' };

  constructor(init: ShellRunInit) {
    this.#init = init;
  }

  /** It ends by itself at once. */
  abort(): Promise<void> {
    return this.#ended.promise;
  }

  kill(): void {
    this.#ended.resolve();
  }

  async run(): Promise<Message> {
    const { events, place, sessionID } = this.#init;
    events.emit(place, 'session.status', { sessionID, status: this.status });
    const message = this.#write();
    await moment();
    this.status = { type: 'idle' };
    events.tellIdle(place, sessionID);
    this.#ended.resolve();
    return message;
  }

  #write(): Message {
    const { place, ids, store, clock, sessionID, agent, model, command, output } = this.#init;
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
    store.saveMessage(place, prompt);
    const text = 'The following tool was executed by the user';
    const said = { id: ids.next('prt'), sessionID, messageID: promptID };
    store.savePart(place, { ...said, type: 'text', text, synthetic: true });
    const info: AssistantMessage = {
      id: ids.next('msg'),
      sessionID,
      role: 'assistant',
      parentID: promptID,
      time: { created: start },
      ...model,
      mode: agent,
      agent,
      path: { cwd: place.directory, root: place.directory },
      cost: 0,
      tokens: noTokens(),
    };
    store.saveMessage(place, info);
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
    store.savePart(place, part);
    const end = clock.now();
    info.time.completed = end;
    store.saveMessage(place, info);
    const metadata = { output };
    part.state = { status: 'completed', input, output, title: '', metadata, time: { start, end } };
    store.savePart(place, part);
    return { info, parts: [part] };
  }
}
