import { abortable } from '../../core/abort.js';
import type { ServerErrorInfo, UserMessage } from '../../client/schema/message.js';
import type { PermissionRule } from '../../client/schema/session.js';
import { nextMacrotask } from '../next-macrotask.js';
import { stepsOf } from '../script/script.js';
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
import { sleep } from '../sleep.js';
import type { Asks } from '../state/asks.js';
import type { ModelCall } from './model-call.js';
import type { ToolResult } from './tool-call.js';
import type { ToolDialect } from './tool-dialect.js';
import { OPENCODE_1_TOOLS } from './tool-results.js';
import type { TurnCalls, TurnCallsInit } from './turn-calls.js';

/** Work in a child session. */
export interface Subtask {
  readonly sessionID: string;
  /** Resolves with the last text of the child's answer. */
  readonly answer: Promise<string>;
  abort(): Promise<void>;
}

/** What the steps of a script need of the server. */
export interface StepPlayerInit extends TurnCallsInit {
  readonly asks: Asks;
  /** The rules of the server; those of the session come after them. */
  readonly rules: readonly PermissionRule[];
  readonly startSubtask: (step: MockStepOf<'subtask'>) => Subtask;
  /** Whether a new prompt ends the script before its next call of the model. @default none does */
  readonly isSteered?: (() => boolean) | undefined;
}

/** Thrown to end a turn with the error that its script names. */
export class ScriptedFailure extends Error {
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

/** Plays the steps that a script gives for one prompt into the calls of the model. */
export class StepPlayer {
  readonly #init: StepPlayerInit;
  readonly #calls: TurnCalls;
  readonly #prompt: UserMessage;
  readonly #signal: AbortSignal;
  readonly #tools: ToolDialect;
  readonly #subtasks = new Set<Subtask>();
  /** The results of the tools of the call before. */
  #results: readonly MockToolResult[] = [];

  /** @param signal - ends the step that is being played, and with it the playing. */
  constructor(init: StepPlayerInit, calls: TurnCalls, prompt: UserMessage, signal: AbortSignal) {
    this.#init = init;
    this.#calls = calls;
    this.#prompt = prompt;
    this.#signal = signal;
    this.#tools = init.tools ?? OPENCODE_1_TOOLS;
  }

  /**
   * Plays the steps, from this call of the model on. The tools of every call but the last have ended then.
   *
   * @returns the last call, which is still open; `undefined` when a tool has ended the turn: the user refused it, or it gave
   * the object that the prompt asks for.
   * @throws {ScriptedFailure} when the script lets the turn fail.
   * @throws {TypeError} for a step that does not exist, or comes too late.
   */
  async play(steps: MockSteps, first: ModelCall): Promise<ModelCall | undefined> {
    const last = await this.#playAll(steps, first);
    return last?.hasTools === true ? this.#beginNext(last) : last;
  }

  /** Aborts the work in child sessions; resolves when it has ended. */
  async abortSubtasks(): Promise<void> {
    await Promise.all([...this.#subtasks].map((subtask) => subtask.abort()));
  }

  async #playAll(steps: MockSteps, first: ModelCall): Promise<ModelCall | undefined> {
    let call = first;
    for await (const step of stepsOf(steps, this.#signal)) {
      if (BEGINS_CALL.has(step.type) && call.hasTools) {
        const next = await this.#beginNext(call);
        if (next === undefined) return undefined;
        call = next;
      }
      if (step.type === 'empty') {
        call = await this.#leaveEmpty(call);
      } else if (step.type === 'after-tools') {
        const last = await this.#playAll(step.next(this.#results), call);
        if (last === undefined) return undefined;
        call = last;
      } else {
        await this.#playStep(step, call);
      }
    }
    return call;
  }

  /** Waits for the tools of a call and begins the next one; `undefined` when a tool has ended the turn. */
  async #beginNext(call: ModelCall): Promise<ModelCall | undefined> {
    await this.#calls.finish(call, this.#signal);
    this.#results = call.results;
    const isOver = call.endsTurn || this.#init.isSteered?.() === true;
    return isOver ? undefined : this.#calls.begin(this.#prompt);
  }

  async #playStep(
    step: Exclude<MockStep, { type: 'after-tools' | 'empty' }>,
    call: ModelCall,
  ): Promise<void> {
    const signal = this.#signal;
    switch (step.type) {
      case 'text':
      case 'reasoning':
        return this.#streamText(step, call);
      case 'tool':
        if (step.tool === STRUCTURED_OUTPUT && this.#prompt.format?.type === 'json_schema') {
          return this.#giveObject(step, call);
        }
        return this.#callTool(step, call);
      case 'question':
        return this.#askQuestion(step, call);
      case 'subtask':
        return this.#delegate(step, call);
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
        return this.#retry(step, call);
      case 'fail':
        throw new ScriptedFailure(failureOf(step));
      default:
        throw new TypeError(`The script yielded no step: ${JSON.stringify(step)}.`);
    }
  }

  async #streamText(step: MockStepOf<'text' | 'reasoning'>, call: ModelCall): Promise<void> {
    for (const [index, delta] of piecesOf(step.text, step.chunks).entries()) {
      if (index > 0 && step.delayMs > 0) await sleep(this.#init.clock, step.delayMs, this.#signal);
      call.addText(step.type, delta);
      await nextMacrotask(this.#signal);
    }
  }

  async #leaveEmpty(call: ModelCall): Promise<ModelCall> {
    if (call.hasBegun) throw new TypeError(EMPTY_TOO_LATE);
    call.use(0, 0);
    await this.#calls.finish(call, this.#signal, { reason: 'unknown' });
    await nextMacrotask(this.#signal);
    return this.#calls.begin(this.#prompt);
  }

  async #retry({ message, afterMs }: MockStepOf<'retry'>, call: ModelCall): Promise<void> {
    const { clock } = this.#init;
    if (call.hasBegun) throw new TypeError(RETRY_TOO_LATE);
    call.retries += 1;
    if (call.retries > MAX_RETRIES) {
      const data = { message, statusCode: RETRY_STATUS, isRetryable: true };
      throw new ScriptedFailure({ name: 'APIError', data });
    }
    const next = clock.now() + afterMs;
    this.#calls.setStatus({ type: 'retry', attempt: call.retries, message, next });
    if (afterMs > 0) await sleep(clock, afterMs, this.#signal);
    else await nextMacrotask(this.#signal);
    this.#calls.setStatus({ type: 'busy' });
  }

  async #callTool(step: MockStepOf<'tool'>, call: ModelCall): Promise<void> {
    const { store, scope, asks, sessionID } = this.#init;
    const rules = [...this.#init.rules, ...(store.find(sessionID)?.permission ?? [])];
    const input = { ...step.input };
    const name = this.#tools.nameOf(step.tool);
    const tool = call.addTool(name);
    await nextMacrotask(this.#signal);
    const need = this.#tools.needOf(name, input, step.ask);
    const allowed = { tool: name, input, output: step.output };
    const decided = asks.decide(rules, need);
    const decision = decided === 'allow' && step.ask !== undefined ? 'ask' : decided;
    if (decision === 'ask') {
      const asked = asks.askPermission({ sessionID, tool: tool.id }, rules, need);
      tool.isAsking = true;
      tool.run(input);
      const answered = asked.then((outcome) => {
        tool.isAsking = false;
        return this.#tools.permitted(outcome, allowed);
      });
      call.endTool(tool, answered);
    } else {
      if (step.tool === 'todowrite' && decision === 'allow') store.setTodos(scope, sessionID, input['todos']);
      tool.run(input);
      const isDenied = decision === 'deny';
      call.endTool(
        tool,
        isDenied ? this.#tools.denied(rules, allowed) : { status: 'completed', output: step.output },
      );
    }
    await nextMacrotask(this.#signal);
  }

  async #giveObject(step: MockStepOf<'tool'>, call: ModelCall): Promise<void> {
    const input = { ...step.input };
    const tool = call.addTool(step.tool);
    await nextMacrotask(this.#signal);
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

  async #askQuestion(step: MockStepOf<'question'>, call: ModelCall): Promise<void> {
    const { asks, sessionID } = this.#init;
    const questions = structuredClone(step.questions) as Parameters<Asks['askQuestion']>[1];
    const tool = call.addTool('question');
    await nextMacrotask(this.#signal);
    const asked = asks.askQuestion({ sessionID, tool: tool.id }, questions);
    tool.isAsking = true;
    tool.run({ questions });
    const answered = asked.then((outcome) => {
      tool.isAsking = false;
      return this.#tools.answered(step.questions, outcome);
    });
    call.endTool(tool, answered);
    await nextMacrotask(this.#signal);
  }

  async #delegate(step: MockStepOf<'subtask'>, call: ModelCall): Promise<void> {
    const { description: title, agent } = step;
    const { sessionID, catalog, startSubtask } = this.#init;
    const { subtask: kind } = this.#tools;
    const tool = call.addTool(kind.tool);
    await nextMacrotask(this.#signal);
    const input = kind.input(step);
    tool.run(input);
    if (!catalog.hasAgent(agent)) {
      call.endTool(tool, { status: 'error', error: kind.unknownAgent(agent) });
      return;
    }
    const subtask = startSubtask(step);
    this.#subtasks.add(subtask);
    const metadata = kind.metadata(sessionID, subtask.sessionID);
    tool.run(input, { title, metadata });
    const answered = subtask.answer.then((answer): ToolResult => {
      this.#subtasks.delete(subtask);
      return kind.result(subtask.sessionID, answer, { title, metadata });
    });
    call.endTool(tool, answered);
  }
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
