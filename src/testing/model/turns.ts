import type { Clock } from '../../core/clock.js';
import type { Message, Part, ServerErrorInfo, UserMessage } from '../../client/schema/message.js';
import type { ModelRef, PromptPartInput } from '../../client/schema/prompt.js';
import type { PermissionRule, SessionInfo } from '../../client/schema/session.js';
import { textOf, type PromptBody } from '../http/prompt-body.js';
import { nextMacrotask } from '../next-macrotask.js';
import type { Scripts } from '../script/script.js';
import type { MockStepOf } from '../script/steps.js';
import { PromptRefusedError, type Catalog } from '../state/catalog.js';
import type { ServerEvents } from '../state/server-events.js';
import type { Ids } from '../state/ids.js';
import type { Instance } from '../state/instances.js';
import type { SessionHistory } from '../state/session-history.js';
import type { SessionStore } from '../state/session-store.js';
import { ShellRun } from './shell-run.js';
import type { Subtask } from './step-player.js';
import type { ToolDialect } from './tool-dialect.js';
import { TurnLoop, type TurnLoopInit } from './turn-loop.js';

/** Gives the output of a command line that a user runs in a directory. */
export type MockShell = (command: string, directory: string) => string;

/** What the work of sessions needs of the server. */
export interface TurnsInit {
  readonly ids: Ids;
  readonly events: ServerEvents;
  readonly clock: Clock;
  readonly sessions: SessionStore;
  readonly history: SessionHistory;
  readonly scripts: Scripts;
  readonly catalog: Catalog;
  /** The rules of the server; those of a session come after them. */
  readonly rules: readonly PermissionRule[];
  readonly shell: MockShell;
  /** The tools of the server. @default those of OpenCode 1.18.33 */
  readonly tools?: ToolDialect | undefined;
  /** Lets another agent work in a child session. @default prompts the child */
  readonly startSubtask?: ((instance: Instance, child: SessionInfo, prompt: string) => Subtask) | undefined;
  /** Whether a new prompt ends the script that answers a session before its next call of the model. @default none does */
  readonly isSteered?: ((sessionID: string) => boolean) | undefined;
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

/** Takes prompts, summaries and command lines, and runs them in their sessions. */
export class Turns {
  readonly #init: TurnsInit;

  constructor(init: TurnsInit) {
    this.#init = init;
  }

  /**
   * Takes a prompt. A newly loaded instance begins its first prompts a macrotask later: until then it stores nothing of them,
   * their session is idle, and an abort does not reach them (OpenCode 1.18.33: up to half a second).
   *
   * @returns the message that answers the prompt, or the prompt itself when it asks for no answer; `undefined` when the
   * session was deleted.
   * @throws {PromptRefusedError} when the agent or the model does not exist; the session has sent that error by then.
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

  /** Takes a prompt from a client that does not wait for the answer. */
  async promptAsync(instance: Instance, session: SessionInfo, body: PromptBody): Promise<void> {
    try {
      await this.prompt(instance, session, body);
    } catch (error) {
      if (error instanceof PromptRefusedError) this.#emitError(instance, session.id, error.repeated);
      else throw error;
    }
  }

  /**
   * Lets the model summarize the session; resolves when it has, or has failed to.
   *
   * @throws {PromptRefusedError} when the model does not exist.
   */
  async summarize(instance: Instance, session: SessionInfo, model: ModelRef, auto: boolean): Promise<void> {
    const { id: sessionID } = session;
    const message = this.#newMessage(this.#init.ids.next('msg'), session, { ...NO_PROMPT, model });
    this.#init.sessions.saveMessage(instance, message);
    const ids = { id: this.#init.ids.next('prt'), sessionID, messageID: message.id };
    this.#init.sessions.savePart(instance, { ...ids, type: 'compaction', auto });
    const turn = this.#newSummary(instance, sessionID);
    turn.add({ message, text: '' });
    turn.start();
    await turn.ended;
    if (turn.refusal !== undefined) throw turn.refusal;
  }

  /**
   * Runs a command line of the user.
   *
   * @throws {PromptRefusedError} when the agent does not exist.
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
      this.#init.catalog.assertAgent(input.agent);
    } catch (error) {
      this.#init.events.emit(instance, 'session.status', { sessionID, status: { type: 'busy' } });
      if (error instanceof PromptRefusedError) this.#emitError(instance, sessionID, error.info);
      this.#init.events.emitIdle(instance, sessionID);
      throw error;
    }
    const run = new ShellRun({
      ...this.#workInit(instance),
      ...input,
      sessionID,
      model: input.model ?? this.#modelOf(session),
      output: this.#init.shell(input.command, instance.directory),
    });
    instance.work.set(sessionID, run);
    return run.run().finally(() => instance.work.delete(sessionID));
  }

  /** Aborts the work of a session; resolves when it has ended. An idle session sends once more that it is idle. */
  async abort(instance: Instance, sessionID: string): Promise<void> {
    const work = instance.work.get(sessionID);
    if (work !== undefined) return work.abort();
    this.#init.events.emitIdle(instance, sessionID);
  }

  #begin(
    instance: Instance,
    session: SessionInfo,
    body: PromptBody,
  ): { readonly turn: TurnLoop | undefined; readonly messageID: string } | undefined {
    const sessionID = session.id;
    if (this.#init.sessions.find(sessionID) === undefined) return undefined;
    this.#assertAgent(instance, sessionID, body.agent);
    if (!instance.isBusy(sessionID)) this.#init.history.settle(instance, session);
    const { messageID = this.#init.ids.next('msg') } = body;
    const stored = this.#init.sessions.message(sessionID, messageID)?.info;
    const isSummaryDue = this.#isSummaryDue(sessionID);
    const message = stored?.role === 'user' ? stored : this.#newMessage(messageID, session, body);
    // The session keeps the agent and the model of its last prompt; the next prompt uses the model.
    if (
      session.agent !== message.agent ||
      session.model?.id !== message.model.modelID ||
      session.model.providerID !== message.model.providerID
    ) {
      const model = { providerID: message.model.providerID, id: message.model.modelID };
      this.#init.sessions.update(instance, sessionID, { agent: message.agent, model });
    }
    const rules = Object.entries(body.tools).map(([permission, isGiven]) => ({
      permission,
      pattern: '*',
      action: isGiven ? ('allow' as const) : ('deny' as const),
    }));
    if (rules.length > 0) this.#init.sessions.edit(instance, sessionID, { permission: rules });
    this.#init.sessions.saveMessage(instance, message);
    this.#saveParts(instance, message, body.parts);
    this.#init.sessions.update(instance, sessionID);
    if (body.noReply) return { turn: undefined, messageID };
    const running = instance.work.get(sessionID);
    const isRunning = running instanceof TurnLoop && instance.isBusy(sessionID);
    const turn = isRunning
      ? running
      : isSummaryDue
        ? this.#newSummary(instance, sessionID)
        : this.#newTurn(instance, sessionID);
    // A prompt with the id of a stored message adds parts to it and gets no answer.
    if (stored === undefined) turn.add({ message, text: textOf(body.parts) });
    if (turn !== running) turn.start();
    return { turn, messageID };
  }

  #assertAgent(instance: Instance, sessionID: string, agent: string | undefined): void {
    if (agent === undefined) return;
    try {
      this.#init.catalog.assertAgent(agent);
    } catch (error) {
      // For an unknown agent the server sends nothing else: the session is never busy.
      if (error instanceof PromptRefusedError) this.#emitError(instance, sessionID, error.info);
      throw error;
    }
  }

  #emitError(instance: Instance, sessionID: string, error: ServerErrorInfo): void {
    this.#init.events.emit(instance, 'session.error', { sessionID, error });
  }

  #saveParts(instance: Instance, message: UserMessage, parts: readonly PromptPartInput[]): void {
    for (const part of parts) {
      const ids = { id: this.#init.ids.next('prt'), sessionID: message.sessionID, messageID: message.id };
      this.#init.sessions.savePart(instance, { ...part, ...ids } as Part);
    }
  }

  /** Whether a requested summary has failed: the next prompt then makes the summary instead of getting an answer. */
  #isSummaryDue(sessionID: string): boolean {
    let isDue = false;
    for (const { info, parts } of this.#init.sessions.messages(sessionID)) {
      if (parts.some((part) => part.type === 'compaction')) isDue = true;
      if (info.role === 'assistant' && info.summary === true && info.error === undefined) isDue = false;
    }
    return isDue;
  }

  #newSummary(instance: Instance, sessionID: string): TurnLoop {
    return this.#newTurn(instance, sessionID, {
      agent: 'compaction',
      summary: true,
      script: this.#init.scripts.summarize,
      onAnswered: () => this.#init.events.emit(instance, 'session.compacted', { sessionID }),
    });
  }

  #newTurn(instance: Instance, sessionID: string, init: Partial<TurnLoopInit> = {}): TurnLoop {
    const turn: TurnLoop = new TurnLoop({
      ...this.#workInit(instance),
      sessionID,
      asks: instance.asks,
      catalog: this.#init.catalog,
      rules: this.#init.rules,
      script: this.#init.scripts.play,
      startSubtask: (step) => this.#startSubtask(instance, sessionID, step),
      isSteered: () => this.#init.isSteered?.(sessionID) === true,
      tools: this.#init.tools,
      ...init,
      onEnd: () => {
        // Another turn may have begun since the session was first idle.
        if (instance.work.get(sessionID) === turn) instance.work.delete(sessionID);
      },
    });
    instance.work.set(sessionID, turn);
    return turn;
  }

  #startSubtask(instance: Instance, parentID: string, step: MockStepOf<'subtask'>): Subtask {
    const { prompt, description, agent } = step;
    const child = this.#init.sessions.create(instance, {
      parentID,
      title: `${description} (@${agent} subagent)`,
      agent,
      permission: [{ permission: 'task', pattern: '*', action: 'deny' }],
    });
    const { startSubtask } = this.#init;
    if (startSubtask !== undefined) return startSubtask(instance, child, prompt);
    const parts = [{ type: 'text' as const, text: prompt }];
    const answered = this.prompt(instance, child, { ...NO_PROMPT, parts, agent });
    return {
      sessionID: child.id,
      answer: answered.then((message) => lastTextOf(message)),
      abort: () => this.abort(instance, child.id),
    };
  }

  /** What all work in an instance writes to. */
  #workInit(scope: Instance): Pick<TurnLoopInit, 'scope' | 'ids' | 'events' | 'store' | 'clock'> {
    const { ids, events, sessions: store, clock } = this.#init;
    return { scope, ids, events, store, clock };
  }

  #messageOf(sessionID: string, messageID: string | undefined): Message | undefined {
    if (messageID === undefined || this.#init.sessions.find(sessionID) === undefined) return undefined;
    return this.#init.sessions.message(sessionID, messageID);
  }

  #lastAnswerID(sessionID: string): string | undefined {
    if (this.#init.sessions.find(sessionID) === undefined) return undefined;
    return this.#init.sessions.messages(sessionID).findLast(({ info }) => info.role === 'assistant')?.info.id;
  }

  #newMessage(id: string, session: SessionInfo, body: PromptBody): UserMessage {
    return {
      id,
      sessionID: session.id,
      role: 'user',
      time: { created: this.#init.clock.now() },
      // OpenCode 1.18.33 does not use the agent of the session.
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
