import type { SessionInfo } from '../../client/schema/session.js';
import type { Subtask } from '../model/step-player.js';
import type { StepEntry } from './entries.js';
import { Execution, type ExecutionInit } from './execution.js';
import { Inbox, type InboxItem, type PromptInput } from './inbox.js';
import type { SessionFacts } from './session-info.js';

/** What the executions need of the server. */
export interface ExecutionsInit extends Omit<ExecutionInit, 'inbox' | 'session' | 'agent' | 'model'> {
  readonly factsOf: (sessionID: string) => SessionFacts;
}

/** The work of all sessions: at most one execution in each. */
export class Executions {
  readonly #init: ExecutionsInit;
  readonly #inboxes = new Map<string, Inbox>();
  readonly #running = new Map<string, Execution>();

  constructor(init: ExecutionsInit) {
    this.#init = init;
  }

  /** The ids of the sessions that work, in all directories. */
  active(): string[] {
    return [...this.#running.keys()];
  }

  inbox(sessionID: string): Inbox {
    let inbox = this.#inboxes.get(sessionID);
    if (inbox === undefined) {
      inbox = new Inbox();
      this.#inboxes.set(sessionID, inbox);
    }
    return inbox;
  }

  /** Whether a prompt waits that is delivered at the next step. */
  isSteered(sessionID: string): boolean {
    return this.inbox(sessionID).hasSteer;
  }

  /** Takes a prompt, which the session begins to answer soon. @returns its receipt. */
  admit(session: SessionInfo, { id: given, text, more, delivery, resume }: PromptInput): InboxItem {
    const { server, events } = this.#init;
    const { id: sessionID, directory } = session;
    const inbox = this.inbox(sessionID);
    const known = given === undefined ? undefined : inbox.receipt(given);
    if (known !== undefined) {
      // An idle session begins an execution for a repetition too, which finds nothing to do.
      if (resume) this.#wake(session);
      return known;
    }
    const item: InboxItem = {
      id: given ?? server.ids.next('msg'),
      sessionID,
      time: { created: server.clock.now() },
      type: 'user',
      payload: { text, ...more },
      delivery,
    };
    inbox.add(item);
    const { type, payload } = item;
    events.send(directory, 'session.inbox.enqueued', {
      inboxID: item.id,
      sessionID,
      item: { type, payload, delivery },
    });
    if (resume) this.#wake(session);
    return item;
  }

  /** Ends the work of a session; `false` when it does not work. */
  interrupt(sessionID: string): boolean {
    return this.#running.get(sessionID)?.interrupt() ?? false;
  }

  /** Resolves when a session does not work. */
  async wait(sessionID: string): Promise<void> {
    for (let running = this.#running.get(sessionID); running; running = this.#running.get(sessionID))
      await running.ended;
  }

  /** Lets another agent work in a child session. */
  delegate(child: SessionInfo, prompt: string): Subtask {
    const { id: sessionID } = child;
    this.admit(child, { id: undefined, text: prompt, more: {}, delivery: 'steer', resume: true });
    return {
      sessionID,
      answer: this.wait(sessionID).then(() => this.#lastText(sessionID)),
      abort: async () => {
        this.interrupt(sessionID);
        await this.wait(sessionID);
      },
    };
  }

  /** Ends all work like a process that is killed; the inboxes stay. */
  crash(): void {
    for (const execution of this.#running.values()) execution.kill();
    this.#running.clear();
  }

  #wake(session: SessionInfo): void {
    if (!this.#running.has(session.id)) this.#start(session);
  }

  #start(session: SessionInfo): void {
    const { factsOf, ...init } = this.#init;
    const { agent = 'build', model = { id: 'mock', providerID: 'mock' } } = factsOf(session.id);
    const execution = new Execution({ ...init, inbox: this.inbox(session.id), session, agent, model });
    this.#running.set(session.id, execution);
    void execution.run().then((isLeft) => {
      if (this.#running.get(session.id) !== execution) return;
      this.#running.delete(session.id);
      if (isLeft === true) this.#start(session);
    });
  }

  #lastText(sessionID: string): string {
    const steps = this.#init.entries.of(sessionID).filter(({ type }) => type === 'assistant') as StepEntry[];
    const text = steps.at(-1)?.content.findLast((content) => content.type === 'text');
    return text?.type === 'text' ? text.text : '';
  }
}
