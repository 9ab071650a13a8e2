import type { Clock } from '../core/clock.js';
import type { Command } from '../client/schema/commands.js';
import type { Message, Part, ServerErrorInfo, UserMessage } from '../client/schema/message.js';
import type { ModelRef, PromptPartInput } from '../client/schema/prompt.js';
import type { PermissionRule, SessionInfo } from '../client/schema/session.js';
import { PromptRefusedError, type Catalog } from './state/catalog.js';
import { EventBus } from './state/event-bus.js';
import { Ids } from './state/ids.js';
import { Instances, type Instance } from './state/instances.js';
import { nextMacrotask } from './next-macrotask.js';
import { textOf, type PromptBody } from './http/prompt-body.js';
import type { Subtask } from './model/step-player.js';
import { TurnLoop, type TurnLoopInit } from './model/turn-loop.js';
import { Scripts, type MockScript } from './script/script.js';
import { SessionHistory } from './state/session-history.js';
import { SessionStore } from './state/session-store.js';
import { ShellRun } from './model/shell-run.js';
import type { MockStepOf } from './script/steps.js';
import type { MockTerminalProgram } from './state/terminal.js';

/** What a command line of the user puts out. */
export type MockShell = (command: string, directory: string) => string;

/** How the server presents itself. */
export interface ScriptedServerInit {
  readonly version: string;
  readonly cwd: string;
  readonly clock: Clock;
  readonly projectOf: (directory: string) => string;
  /** How the model answers until there is another script. */
  readonly script: MockScript;
  /** For which permissions it asks. */
  readonly asks: readonly string[];
  readonly catalog: Catalog;
  readonly commands: readonly Command[];
  readonly shell: MockShell;
  readonly terminal: MockTerminalProgram;
}

const NO_PROMPT: PromptBody = {
  messageID: undefined,
  parts: [],
  agent: undefined,
  model: undefined,
  noReply: false,
  tools: {},
  format: undefined,
};

/** OpenCode in memory: the state behind the routes, and the turns that change it. */
export class ScriptedServer {
  readonly version: string;
  readonly cwd: string;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly instances: Instances;
  readonly sessions: SessionStore;
  readonly history: SessionHistory;
  readonly scripts: Scripts;
  readonly catalog: Catalog;
  readonly commands: readonly Command[];
  readonly #ids = new Ids();
  readonly #rules: readonly PermissionRule[];
  readonly #shell: MockShell;
  readonly #closed = new AbortController();

  constructor(init: ScriptedServerInit) {
    const { clock, projectOf, terminal, version } = init;
    this.version = version;
    this.cwd = init.cwd;
    this.clock = clock;
    this.scripts = new Scripts(init.script);
    this.#rules = init.asks.map((permission) => ({ permission, pattern: '*', action: 'ask' }));
    this.catalog = init.catalog;
    this.commands = init.commands;
    this.#shell = init.shell;
    const events = new EventBus(this.#ids, clock);
    this.events = events;
    this.instances = new Instances({
      ...{ events, ids: this.#ids, clock, projectOf, terminal },
      closed: this.#closed.signal,
    });
    this.sessions = new SessionStore(this.#ids, events, clock, version);
    this.history = new SessionHistory(this.#ids, events, this.sessions);
  }

  /**
   * Takes a prompt. The first ones of an instance are begun a moment later: until then nothing of them is stored, their
   * session is idle, and an abort passes them by (measured on 1.18.33: up to half a second).
   *
   * @returns the message that answers it, or the prompt itself when it is not to be answered; `undefined` when the session
   * is gone.
   * @throws {PromptRefusedError} when there is no such agent or model; the session has told that by then.
   */
  async prompt(instance: Instance, session: SessionInfo, body: PromptBody): Promise<Message | undefined> {
    if (instance.warmUp !== 'done') {
      instance.warmUp ??= nextMacrotask().then(() => {
        instance.warmUp = 'done';
      });
      await instance.warmUp;
    }
    const begun = this.#begin(instance, session, body);
    if (begun === undefined) return undefined;
    const { turn, messageID } = begun;
    if (turn === undefined) return this.#messageOf(session.id, messageID);
    await turn.ended;
    if (turn.refusal !== undefined) throw turn.refusal;
    return this.#messageOf(session.id, turn.answerID ?? this.#lastAnswerID(session.id));
  }

  /** Takes a prompt of somebody who does not wait for the answer. */
  async promptAsync(instance: Instance, session: SessionInfo, body: PromptBody): Promise<void> {
    try {
      await this.prompt(instance, session, body);
    } catch (error) {
      if (error instanceof PromptRefusedError) this.#emitError(instance, session.id, error.repeated);
      else throw error;
    }
  }

  /**
   * Lets the model sum up the session. Resolves when it has, or has failed to.
   *
   * @throws {PromptRefusedError} when there is no such model.
   */
  async summarize(instance: Instance, session: SessionInfo, model: ModelRef, auto: boolean): Promise<void> {
    const { id: sessionID } = session;
    const message = this.#newMessage(this.#ids.next('msg'), session, { ...NO_PROMPT, model });
    this.sessions.saveMessage(instance, message);
    const ids = { id: this.#ids.next('prt'), sessionID, messageID: message.id };
    this.sessions.savePart(instance, { ...ids, type: 'compaction', auto });
    const turn = this.#newSummary(instance, sessionID);
    turn.add({ message, text: '' });
    turn.start();
    await turn.ended;
    if (turn.refusal !== undefined) throw turn.refusal;
  }

  /**
   * Runs a command line of the user.
   *
   * @throws {PromptRefusedError} when there is no such agent.
   */
  async shell(
    instance: Instance,
    session: SessionInfo,
    input: {
      readonly command: string;
      readonly agent: string;
      readonly messageID: string | undefined;
      readonly model: ModelRef | undefined;
    },
  ): Promise<Message> {
    const { id: sessionID } = session;
    try {
      this.catalog.assertAgent(input.agent);
    } catch (error) {
      this.events.emit(instance, 'session.status', { sessionID, status: { type: 'busy' } });
      if (error instanceof PromptRefusedError) this.#emitError(instance, sessionID, error.info);
      this.events.emitIdle(instance, sessionID);
      throw error;
    }
    const run = new ShellRun({
      ...this.#workInit(instance),
      ...input,
      sessionID,
      model: input.model ?? this.#modelOf(session),
      output: this.#shell(input.command, instance.directory),
    });
    instance.work.set(sessionID, run);
    return run.run().finally(() => instance.work.delete(sessionID));
  }

  /** Ends what the session is doing; resolves when it has ended. One that is idle says so once more. */
  async abort(instance: Instance, sessionID: string): Promise<void> {
    const work = instance.work.get(sessionID);
    if (work !== undefined) return work.abort();
    this.events.emitIdle(instance, sessionID);
  }

  /** Ends everything at once, like the process; what is stored stays. */
  crash(): void {
    this.events.close();
    this.instances.crash();
  }

  close(): void {
    this.#closed.abort();
    this.crash();
  }

  #begin(
    instance: Instance,
    session: SessionInfo,
    body: PromptBody,
  ): { readonly turn: TurnLoop | undefined; readonly messageID: string } | undefined {
    const sessionID = session.id;
    if (this.sessions.find(sessionID) === undefined) return undefined;
    this.#assertAgent(instance, sessionID, body.agent);
    if (!instance.isBusy(sessionID)) this.history.settle(instance, session);
    const { messageID = this.#ids.next('msg') } = body;
    const stored = this.sessions.message(sessionID, messageID)?.info;
    const isSummaryDue = this.#isSummaryDue(sessionID);
    const message = stored?.role === 'user' ? stored : this.#newMessage(messageID, session, body);
    // The agent and the model of a prompt stay with the session; the model counts for the next one.
    if (
      session.agent !== message.agent ||
      session.model?.id !== message.model.modelID ||
      session.model.providerID !== message.model.providerID
    ) {
      const model = { providerID: message.model.providerID, id: message.model.modelID };
      this.sessions.update(instance, sessionID, { agent: message.agent, model });
    }
    const rules = Object.entries(body.tools).map(([permission, isGiven]) => ({
      permission,
      pattern: '*',
      action: isGiven ? ('allow' as const) : ('deny' as const),
    }));
    if (rules.length > 0) this.sessions.edit(instance, sessionID, { permission: rules });
    this.sessions.saveMessage(instance, message);
    this.#saveParts(instance, message, body.parts);
    this.sessions.update(instance, sessionID);
    if (body.noReply) return { turn: undefined, messageID };
    const running = instance.work.get(sessionID);
    const isRunning = running instanceof TurnLoop && instance.isBusy(sessionID);
    const turn = isRunning
      ? running
      : isSummaryDue
        ? this.#newSummary(instance, sessionID)
        : this.#newTurn(instance, sessionID);
    // A message that was stored before gets more parts, and no answer.
    if (stored === undefined) turn.add({ message, text: textOf(body.parts) });
    if (turn !== running) turn.start();
    return { turn, messageID };
  }

  #assertAgent(instance: Instance, sessionID: string, agent: string | undefined): void {
    if (agent === undefined) return;
    try {
      this.catalog.assertAgent(agent);
    } catch (error) {
      // Of an unknown agent nothing else is told: the session is not even busy for a moment.
      if (error instanceof PromptRefusedError) this.#emitError(instance, sessionID, error.info);
      throw error;
    }
  }

  #emitError(instance: Instance, sessionID: string, error: ServerErrorInfo): void {
    this.events.emit(instance, 'session.error', { sessionID, error });
  }

  #saveParts(instance: Instance, message: UserMessage, parts: readonly PromptPartInput[]): void {
    for (const part of parts) {
      const ids = { id: this.#ids.next('prt'), sessionID: message.sessionID, messageID: message.id };
      this.sessions.savePart(instance, { ...part, ...ids } as Part);
    }
  }

  /** Whether a summary was asked for and has failed: the next prompt only makes it. */
  #isSummaryDue(sessionID: string): boolean {
    let isDue = false;
    for (const { info, parts } of this.sessions.messages(sessionID)) {
      if (parts.some((part) => part.type === 'compaction')) isDue = true;
      if (info.role === 'assistant' && info.summary === true && info.error === undefined) isDue = false;
    }
    return isDue;
  }

  #newSummary(instance: Instance, sessionID: string): TurnLoop {
    return this.#newTurn(instance, sessionID, {
      agent: 'compaction',
      summary: true,
      script: this.scripts.summarize,
      onAnswered: () => this.events.emit(instance, 'session.compacted', { sessionID }),
    });
  }

  #newTurn(instance: Instance, sessionID: string, init: Partial<TurnLoopInit> = {}): TurnLoop {
    const turn: TurnLoop = new TurnLoop({
      ...this.#workInit(instance),
      sessionID,
      asks: instance.asks,
      catalog: this.catalog,
      rules: this.#rules,
      script: this.scripts.play,
      startSubtask: (step) => this.#startSubtask(instance, sessionID, step),
      ...init,
      onEnd: () => {
        // After its first idle another turn may have begun.
        if (instance.work.get(sessionID) === turn) instance.work.delete(sessionID);
      },
    });
    instance.work.set(sessionID, turn);
    return turn;
  }

  #startSubtask(instance: Instance, parentID: string, step: MockStepOf<'subtask'>): Subtask {
    const { prompt, description, agent } = step;
    const child = this.sessions.create(instance, {
      parentID,
      title: `${description} (@${agent} subagent)`,
      agent,
      permission: [{ permission: 'task', pattern: '*', action: 'deny' }],
    });
    const parts = [{ type: 'text' as const, text: prompt }];
    const answered = this.prompt(instance, child, { ...NO_PROMPT, parts, agent });
    return {
      sessionID: child.id,
      answer: answered.then((message) => lastTextOf(message)),
      abort: () => this.abort(instance, child.id),
    };
  }

  /** What everything that works in an instance writes to. */
  #workInit(scope: Instance): Pick<TurnLoopInit, 'scope' | 'ids' | 'events' | 'store' | 'clock'> {
    return { scope, ids: this.#ids, events: this.events, store: this.sessions, clock: this.clock };
  }

  #messageOf(sessionID: string, messageID: string | undefined): Message | undefined {
    if (messageID === undefined || this.sessions.find(sessionID) === undefined) return undefined;
    return this.sessions.message(sessionID, messageID);
  }

  #lastAnswerID(sessionID: string): string | undefined {
    if (this.sessions.find(sessionID) === undefined) return undefined;
    return this.sessions.messages(sessionID).findLast(({ info }) => info.role === 'assistant')?.info.id;
  }

  #newMessage(id: string, session: SessionInfo, body: PromptBody): UserMessage {
    return {
      id,
      sessionID: session.id,
      role: 'user',
      time: { created: this.clock.now() },
      // That of the session does not count (measured).
      agent: body.agent ?? 'build',
      model: body.model ?? this.#modelOf(session),
      ...(body.format && { format: body.format }),
    };
  }

  #modelOf(session: SessionInfo): ModelRef {
    const { model } = session;
    if (model === undefined) return { providerID: 'mock', modelID: 'mock' };
    return { providerID: model.providerID, modelID: model.id };
  }
}

function lastTextOf(message: Message | undefined): string {
  return message?.parts.findLast((part) => part.type === 'text')?.text ?? '';
}
