import { abortable, deferred } from '../../core/abort.js';
import type { ServerErrorInfo, UserMessage } from '../../client/schema/message.js';
import type { PermissionRule, SessionStatus } from '../../client/schema/session.js';
import type { Asks } from '../state/asks.js';
import { PromptRefusedError, type Catalog } from '../state/catalog.js';
import type { SessionWork } from '../state/instances.js';
import { ModelCall, type CallEnd, type ModelCallInit } from './model-call.js';
import { nextMacrotask } from '../next-macrotask.js';
import { sleep } from '../sleep.js';
import { needOf } from '../state/permission-rules.js';
import { stepsOf, type MockScript } from '../script/script.js';
import { SessionGoneError } from '../state/session-store.js';
import {
  BEGINS_CALL,
  EMPTY_TOO_LATE,
  piecesOf,
  RETRY_STATUS,
  RETRY_TOO_LATE,
  type MockStep,
  type MockStepOf,
  type MockSteps,
  type MockToolResult,
} from '../script/steps.js';
import type { ToolResult } from './tool-call.js';
import { denied, permissionResult, questionResult } from './tool-results.js';

/** Work in a child session. */
export interface Subtask {
  readonly sessionID: string;
  /** Resolves with the last text of its answer. */
  readonly answer: Promise<string>;
  abort(): Promise<void>;
}

/** What a turn needs of the server. */
export interface TurnLoopInit extends ModelCallInit {
  readonly sessionID: string;
  readonly script: MockScript;
  readonly asks: Asks;
  readonly catalog: Catalog;
  /** The rules of the server; those of the session come after them. */
  readonly rules: readonly PermissionRule[];
  readonly startSubtask: (step: MockStepOf<'subtask'>) => Subtask;
  /** It has answered everything. */
  readonly onAnswered?: () => void;
  /** The turn is over, with all that is told of it. */
  readonly onEnd: () => void;
}

/** A prompt that waits for its answer. */
export interface TurnPrompt {
  readonly message: UserMessage;
  readonly text: string;
}

/** A turn ended as its script says. */
class ScriptedFailure extends Error {
  readonly info: ServerErrorInfo;

  constructor(info: ServerErrorInfo) {
    super(info.name);
    this.info = info;
  }
}

/** OpenCode 1.18.33 gives up when the provider refuses a call once more. */
const MAX_RETRIES = 5;
/** The tool by which a model gives the object that a prompt asks for. */
const STRUCTURED_OUTPUT = 'StructuredOutput';
const NO_OBJECT: ServerErrorInfo = {
  name: 'StructuredOutputError',
  data: { message: 'Model did not produce structured output', retries: 0 },
};
const ABORTED: ServerErrorInfo = { name: 'MessageAbortedError', data: { message: 'Aborted' } };

/** A session at work: it answers its prompts, in the server's order of events, until there is none left. */
export class TurnLoop implements SessionWork {
  readonly #init: TurnLoopInit;
  readonly #prompts: TurnPrompt[] = [];
  readonly #aborted = new AbortController();
  readonly #ended = deferred();
  readonly #subtasks = new Set<Subtask>();
  #call: ModelCall | undefined;
  #status: SessionStatus = { type: 'busy' };
  /** How often the provider has refused the current call. */
  #retries = 0;
  #isKilled = false;
  #answerID: string | undefined;
  /** What came of the tools of the last call. */
  #results: readonly MockToolResult[] = [];
  #refusal: PromptRefusedError | undefined;

  constructor(init: TurnLoopInit) {
    this.#init = init;
  }

  /** Between its end and the last that is told of it, a session already counts as idle. */
  get status(): SessionStatus {
    return this.#status;
  }

  /** Resolves when the turn is over. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The id of the last message it has begun. */
  get answerID(): string | undefined {
    return this.#answerID;
  }

  /** Why it ended without an answer, when it was for a model that there is not. */
  get refusal(): PromptRefusedError | undefined {
    return this.#refusal;
  }

  /** Adds a prompt. One that comes while the turn runs is answered in the same turn; of several, only the newest. */
  add(prompt: TurnPrompt): void {
    this.#prompts.push(prompt);
  }

  /** Answers what was added, if anything was. */
  start(): void {
    void this.#run();
  }

  async abort(): Promise<void> {
    // A child is idle before its parent is.
    await Promise.all([...this.#subtasks].map((subtask) => subtask.abort()));
    this.#aborted.abort();
    await this.#ended.promise;
  }

  kill(): void {
    this.#isKilled = true;
    this.#aborted.abort();
  }

  async #run(): Promise<void> {
    try {
      let isRefused = false;
      while (this.#prompts.length > 0) isRefused = await this.#answer();
      this.#init.onAnswered?.();
      if (!isRefused) this.#tellStatus({ type: 'busy' });
      this.#emitIdle();
      this.#tellUpdate();
    } catch (error) {
      if (error instanceof PromptRefusedError) this.#refuse(error);
      else if (this.#status.type === 'retry') this.#stopRetrying();
      else if (!this.#isKilled)
        await this.#break(this.#aborted.signal.aborted ? ABORTED : errorInfoOf(error));
    } finally {
      this.#init.onEnd();
      this.#ended.resolve();
    }
  }

  /** Answers the newest prompt; `true` when the user refused a tool, which ends the turn. */
  async #answer(): Promise<boolean> {
    const { sessionID, store, script, scope } = this.#init;
    const signal = this.#aborted.signal;
    const prompt = this.#prompts.splice(0).at(-1);
    const session = store.find(sessionID);
    if (prompt === undefined || session === undefined) throw new SessionGoneError();
    this.#results = [];
    const call = this.#begin(prompt.message, prompt.text);
    // Before the script has a say: whoever prompted gets its answer first.
    await nextMacrotask(signal);
    const { title, parentID } = session;
    const input = {
      prompt: prompt.text,
      session: { id: sessionID, title, parentID },
      directory: scope.directory,
    };
    let last = await this.#playAll(script(input), prompt.message, call);
    if (last?.hasTools === true) last = await this.#beginNext(last, prompt.message);
    const isMissing = prompt.message.format?.type === 'json_schema';
    if (last !== undefined) await this.#finish(last, signal, isMissing ? { error: NO_OBJECT } : undefined);
    return last === undefined;
  }

  /** Plays steps from this call of the model on. Returns the last call, `undefined` when the user has ended the turn. */
  async #playAll(steps: MockSteps, prompt: UserMessage, first: ModelCall): Promise<ModelCall | undefined> {
    const signal = this.#aborted.signal;
    let call = first;
    for await (const step of stepsOf(steps, signal)) {
      if (BEGINS_CALL.has(step.type) && call.hasTools) {
        const next = await this.#beginNext(call, prompt);
        if (next === undefined) return undefined;
        call = next;
      }
      if (step.type === 'empty') {
        if (call.hasBegun) throw new TypeError(EMPTY_TOO_LATE);
        call.use(0, 0);
        await this.#finish(call, signal, { reason: 'unknown' });
        await nextMacrotask(signal);
        call = this.#begin(prompt);
      } else if (step.type === 'after-tools') {
        const last = await this.#playAll(step.next(this.#results), prompt, call);
        if (last === undefined) return undefined;
        call = last;
      } else {
        await this.#play(step, call, prompt, signal);
      }
    }
    return call;
  }

  /** Waits for the tools of a call, and begins the next, unless the user has ended the turn. */
  async #beginNext(call: ModelCall, prompt: UserMessage): Promise<ModelCall | undefined> {
    await this.#finish(call, this.#aborted.signal);
    this.#results = call.results;
    return call.endsTurn ? undefined : this.#begin(prompt);
  }

  async #play(
    step: Exclude<MockStep, { type: 'after-tools' | 'empty' }>,
    call: ModelCall,
    prompt: UserMessage,
    signal: AbortSignal,
  ): Promise<void> {
    switch (step.type) {
      case 'text':
      case 'reasoning':
        for (const [index, delta] of piecesOf(step.text, step.chunks).entries()) {
          if (index > 0 && step.delayMs > 0) await sleep(this.#init.clock, step.delayMs, signal);
          call.addText(step.type, delta);
          await nextMacrotask(signal);
        }
        return;
      case 'tool':
        if (step.tool === STRUCTURED_OUTPUT && prompt.format?.type === 'json_schema') {
          return this.#giveObject(step, call, signal);
        }
        return this.#callTool(step, call, signal);
      case 'question':
        return this.#askQuestion(step, call, signal);
      case 'subtask':
        return this.#delegate(step, call, signal);
      case 'usage':
        call.use(step.input, step.output);
        return;
      case 'wait':
        return sleep(this.#init.clock, step.ms, signal);
      case 'wait-for':
        await abortable(Promise.resolve(step.gate), signal);
        return;
      case 'hang':
        return abortable(new Promise<never>(() => undefined), signal);
      case 'retry':
        return this.#retry(step, call, signal);
      case 'fail':
        throw new ScriptedFailure(failureOf(step));
      default:
        throw new TypeError(`The script yielded no step: ${JSON.stringify(step)}.`);
    }
  }

  async #retry(step: MockStepOf<'retry'>, call: ModelCall, signal: AbortSignal): Promise<void> {
    if (call.hasBegun) throw new TypeError(RETRY_TOO_LATE);
    const { message, afterMs } = step;
    this.#retries += 1;
    if (this.#retries > MAX_RETRIES) {
      const data = { message, statusCode: RETRY_STATUS, isRetryable: true };
      throw new ScriptedFailure({ name: 'APIError', data });
    }
    const next = this.#init.clock.now() + afterMs;
    this.#tellStatus({ type: 'retry', attempt: this.#retries, message, next });
    if (afterMs > 0) await sleep(this.#init.clock, afterMs, signal);
    else await nextMacrotask(signal);
    this.#tellStatus({ type: 'busy' });
  }

  async #callTool(step: MockStepOf<'tool'>, call: ModelCall, signal: AbortSignal): Promise<void> {
    const { store, scope, asks, sessionID } = this.#init;
    const rules = [...this.#init.rules, ...(store.find(sessionID)?.permission ?? [])];
    const input = { ...step.input };
    const tool = call.addTool(step.tool);
    await nextMacrotask(signal);
    const need = needOf(step.tool, input, step.ask);
    const decided = asks.decide(rules, need);
    const decision = decided === 'allow' && step.ask !== undefined ? 'ask' : decided;
    if (decision === 'ask') {
      const asked = asks.askPermission({ sessionID, tool: tool.id }, rules, need);
      tool.isAsking = true;
      tool.run(input);
      const answered = asked.then((outcome) => {
        tool.isAsking = false;
        return permissionResult(outcome, step.output);
      });
      call.endTool(tool, answered);
    } else {
      if (step.tool === 'todowrite' && decision === 'allow') store.setTodos(scope, sessionID, input['todos']);
      tool.run(input);
      call.endTool(tool, decision === 'deny' ? denied(rules) : { status: 'completed', output: step.output });
    }
    await nextMacrotask(signal);
  }

  async #giveObject(step: MockStepOf<'tool'>, call: ModelCall, signal: AbortSignal): Promise<void> {
    const input = { ...step.input };
    const tool = call.addTool(step.tool);
    await nextMacrotask(signal);
    tool.run(input);
    const output = 'Structured output captured successfully.';
    call.endTool(tool, {
      status: 'completed',
      output,
      title: 'Structured Output',
      metadata: { valid: true },
    });
    call.structure(input);
  }

  async #askQuestion(step: MockStepOf<'question'>, call: ModelCall, signal: AbortSignal): Promise<void> {
    const { asks, sessionID } = this.#init;
    const questions = structuredClone(step.questions) as Parameters<Asks['askQuestion']>[1];
    const tool = call.addTool('question');
    await nextMacrotask(signal);
    const asked = asks.askQuestion({ sessionID, tool: tool.id }, questions);
    tool.isAsking = true;
    tool.run({ questions });
    const answered = asked.then((outcome) => {
      tool.isAsking = false;
      return questionResult(step.questions, outcome);
    });
    call.endTool(tool, answered);
    await nextMacrotask(signal);
  }

  async #delegate(step: MockStepOf<'subtask'>, call: ModelCall, signal: AbortSignal): Promise<void> {
    const { prompt, description, agent } = step;
    const { sessionID: parentSessionId } = this.#init;
    const tool = call.addTool('task');
    await nextMacrotask(signal);
    const input = { description, prompt, subagent_type: agent };
    tool.run(input);
    if (!this.#init.catalog.hasAgent(agent)) {
      const error = `Unknown agent type: ${agent} is not a valid agent type`;
      call.endTool(tool, { status: 'error', error });
      return;
    }
    const subtask = this.#init.startSubtask(step);
    this.#subtasks.add(subtask);
    const metadata = { parentSessionId, sessionId: subtask.sessionID };
    tool.run(input, { title: description, metadata });
    const answered = subtask.answer.then((answer): ToolResult => {
      this.#subtasks.delete(subtask);
      const result = `<task_result>\n${answer}\n</task_result>`;
      const output = `<task id="${subtask.sessionID}" state="completed">\n${result}\n</task>`;
      return { status: 'completed', output, title: description, metadata };
    });
    call.endTool(tool, answered);
  }

  #begin(prompt: UserMessage, title?: string): ModelCall {
    this.#tellStatus({ type: 'busy' });
    this.#init.catalog.assertModel(prompt.model);
    this.#retries = 0;
    this.#call = new ModelCall(this.#init, prompt);
    this.#answerID = this.#call.messageID;
    this.#tellUpdate();
    if (title !== undefined && this.#init.summary !== true) {
      this.#init.store.setTitle(
        this.#init.scope,
        this.#init.sessionID,
        title.split('\n', 1)[0]?.slice(0, 50) ?? '',
      );
    }
    this.#tellStatus({ type: 'busy' });
    return this.#call;
  }

  async #finish(call: ModelCall, signal: AbortSignal, end?: CallEnd): Promise<void> {
    const { store, sessionID } = this.#init;
    call.close();
    await abortable(call.toolsEnd(), signal);
    const used = call.finish(end);
    this.#call = undefined;
    const session = store.find(sessionID);
    if (session?.tokens === undefined) return;
    session.cost = (session.cost ?? 0) + used.cost;
    session.tokens.input += used.tokens.input;
    session.tokens.output += used.tokens.output;
  }

  /** There is no such model: no answer is begun. */
  #refuse(error: PromptRefusedError): void {
    this.#refusal = error;
    const { sessionID, events, scope } = this.#init;
    events.emit(scope, 'session.error', { sessionID, error: error.info });
    this.#emitIdle();
  }

  /** Aborted between two attempts: the answer is over without saying why. */
  #stopRetrying(): void {
    if (this.#isKilled) return;
    if (this.#init.store.find(this.#init.sessionID) !== undefined) this.#call?.break();
    this.#emitIdle();
  }

  /** The end of a turn that was cut off: the session is idle before its message says why, and again after. */
  async #break(error: ServerErrorInfo): Promise<void> {
    const { sessionID, events, scope, store } = this.#init;
    events.emit(scope, 'session.error', { sessionID, error });
    this.#emitIdle();
    await nextMacrotask();
    if (this.#isKilled) return;
    if (store.find(sessionID) !== undefined) this.#call?.break(error);
    this.#emitIdle();
  }

  #tellStatus(status: SessionStatus): void {
    this.#status = status;
    const { sessionID, events, scope } = this.#init;
    events.emit(scope, 'session.status', { sessionID, status });
  }

  #emitIdle(): void {
    const { sessionID, events, scope } = this.#init;
    this.#status = { type: 'idle' };
    events.emitIdle(scope, sessionID);
  }

  #tellUpdate(): void {
    const { sessionID, events, scope, store } = this.#init;
    store.update(scope, sessionID);
    events.emit(scope, 'session.diff', { sessionID, diff: [] });
  }
}

function errorInfoOf(error: unknown): ServerErrorInfo {
  if (error instanceof ScriptedFailure) return error.info;
  return { name: 'UnknownError', data: { message: String(error) } };
}

function failureOf({ name, message, data }: MockStepOf<'fail'>): ServerErrorInfo {
  const common =
    name === 'APIError'
      ? { statusCode: 400, isRetryable: false }
      : name === 'ProviderAuthError'
        ? { providerID: 'mock' }
        : {};
  return { name, data: { message, ...common, ...data } } as ServerErrorInfo;
}
