import type { Part, UserMessage } from '../client/schema/message.js';
import type { SessionInfo } from '../client/schema/session.js';
import { EventBus } from './event-bus.js';
import { Ids } from './ids.js';
import { Instances, type Instance } from './instances.js';
import { moment } from './moment.js';
import { textOf, type PromptBody } from './prompt-body.js';
import { RunningTurn } from './running-turn.js';
import type { MockScript } from './script.js';
import { SessionStore } from './session-store.js';

/** How the server presents itself. */
export interface ScriptedServerInit {
  readonly version: string;
  readonly cwd: string;
  readonly projectOf: (directory: string) => string;
  /** How the model answers until there is another script. */
  readonly script: MockScript;
}

/** OpenCode in memory: the state behind the routes, and the turns that change it. */
export class ScriptedServer {
  readonly version: string;
  readonly cwd: string;
  readonly events: EventBus;
  readonly instances: Instances;
  readonly sessions: SessionStore;
  /** How the model answers the prompts it gets to from now on. */
  script: MockScript;
  readonly #ids = new Ids();

  constructor(init: ScriptedServerInit) {
    this.version = init.version;
    this.cwd = init.cwd;
    this.script = init.script;
    this.events = new EventBus(this.#ids);
    this.instances = new Instances(this.events, init.projectOf);
    this.sessions = new SessionStore(this.#ids, this.events, init.version);
  }

  /**
   * Takes a prompt. The first ones of an instance are begun a moment later: until then nothing of them is stored, their
   * session is idle, and an abort passes them by (measured on 1.18.33: up to half a second).
   */
  prompt(instance: Instance, session: SessionInfo, body: PromptBody): void {
    if (instance.warmUp === 'done') {
      this.#begin(instance, session, body);
      return;
    }
    instance.warmUp ??= moment().then(() => {
      instance.warmUp = 'done';
    });
    void instance.warmUp.then(() => this.#begin(instance, session, body));
  }

  /** Ends what the session is doing; resolves when it has ended. One that is idle says so once more. */
  async abort(instance: Instance, sessionID: string): Promise<void> {
    const turn = instance.turns.get(sessionID);
    if (turn !== undefined) return turn.abort();
    this.events.emit(instance, 'session.status', { sessionID, status: { type: 'idle' } });
    this.events.emit(instance, 'session.idle', { sessionID });
  }

  /** Ends everything at once, like the process. */
  close(): void {
    this.events.close();
    for (const turn of this.instances.turns()) void turn.abort();
  }

  #begin(instance: Instance, session: SessionInfo, body: PromptBody): void {
    const sessionID = session.id;
    if (this.sessions.find(sessionID) === undefined) return;
    const { messageID = this.#ids.next('msg') } = body;
    const stored = this.sessions.message(sessionID, messageID)?.info;
    const message = stored?.role === 'user' ? stored : newMessage(messageID, session, body);
    if (session.agent !== message.agent) {
      const model = { providerID: message.model.providerID, id: message.model.modelID };
      this.sessions.update(instance, sessionID, { agent: message.agent, model });
    }
    this.sessions.saveMessage(instance, message);
    for (const part of body.parts) {
      const ids = { id: this.#ids.next('prt'), sessionID, messageID };
      this.sessions.savePart(instance, { ...part, ...ids } as Part);
    }
    this.sessions.update(instance, sessionID);
    const running = instance.turns.get(sessionID);
    const turn = running?.isBusy === true ? running : this.#newTurn(instance, sessionID);
    // A message that was stored before gets more parts, and no answer.
    if (stored === undefined) turn.add({ message, text: textOf(body.parts) });
    if (turn !== running) turn.start();
  }

  #newTurn(instance: Instance, sessionID: string): RunningTurn {
    const { events, sessions: store } = this;
    const turn = new RunningTurn({
      sessionID,
      place: instance,
      ids: this.#ids,
      events,
      store,
      script: (input) => this.script(input),
      onEnd: () => {
        // After its first idle another turn may have begun.
        if (instance.turns.get(sessionID) === turn) instance.turns.delete(sessionID);
      },
    });
    instance.turns.set(sessionID, turn);
    return turn;
  }
}

function newMessage(id: string, session: SessionInfo, body: PromptBody): UserMessage {
  return {
    id,
    sessionID: session.id,
    role: 'user',
    time: { created: Date.now() },
    agent: body.agent ?? session.agent ?? 'build',
    model: body.model ?? { providerID: 'mock', modelID: 'mock' },
  };
}
