import { deferred } from '../../core/abort.js';
import type { ServerErrorInfo, UserMessage } from '../../client/schema/message.js';
import type { SessionStatus } from '../../client/schema/session.js';
import { nextMacrotask } from '../next-macrotask.js';
import type { MockScript } from '../script/script.js';
import { PromptRefusedError } from '../state/catalog.js';
import type { SessionWork } from '../state/instances.js';
import { SessionGoneError } from '../state/session-store.js';
import { ScriptedFailure, StepPlayer, type StepPlayerInit } from './step-player.js';
import { TurnCalls } from './turn-calls.js';

/** What a turn needs of the server. */
export interface TurnLoopInit extends StepPlayerInit {
  readonly script: MockScript;
  /** Called when every prompt is answered, before the session is idle. */
  readonly onAnswered?: () => void;
  /** Called when the turn is over, after its last event. */
  readonly onEnd: () => void;
}

/** A prompt that waits for its answer. */
export interface TurnPrompt {
  readonly message: UserMessage;
  readonly text: string;
}

const NO_OBJECT: ServerErrorInfo = {
  name: 'StructuredOutputError',
  data: { message: 'Model did not produce structured output', retries: 0 },
};
const ABORTED: ServerErrorInfo = { name: 'MessageAbortedError', data: { message: 'Aborted' } };

/** One turn of a session: it answers the prompts, in the server's order of events, until none is left. */
export class TurnLoop implements SessionWork {
  readonly #init: TurnLoopInit;
  readonly #calls: TurnCalls;
  readonly #prompts: TurnPrompt[] = [];
  readonly #aborted = new AbortController();
  readonly #ended = deferred();
  #player: StepPlayer | undefined;
  #isKilled = false;
  #refusal: PromptRefusedError | undefined;

  constructor(init: TurnLoopInit) {
    this.#init = init;
    this.#calls = new TurnCalls(init);
  }

  get status(): SessionStatus {
    return this.#calls.status;
  }

  /** Resolves when the turn is over. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The id of the last message that the turn has begun. */
  get answerID(): string | undefined {
    return this.#calls.answerID;
  }

  /** Why the turn ended without an answer: the model of its prompt does not exist. */
  get refusal(): PromptRefusedError | undefined {
    return this.#refusal;
  }

  /** Adds a prompt. The turn that runs answers it too; of several that wait, it answers only the newest. */
  add(prompt: TurnPrompt): void {
    this.#prompts.push(prompt);
  }

  /** Begins to answer the prompts that were added. */
  start(): void {
    void this.#run();
  }

  async abort(): Promise<void> {
    // A child is idle before its parent is.
    await this.#player?.abortSubtasks();
    this.#aborted.abort();
    await this.#ended.promise;
  }

  kill(): void {
    this.#isKilled = true;
    this.#aborted.abort();
  }

  async #run(): Promise<void> {
    try {
      let isCutShort = false;
      while (this.#prompts.length > 0) isCutShort = await this.#answer();
      this.#init.onAnswered?.();
      if (!isCutShort) this.#calls.setStatus({ type: 'busy' });
      this.#calls.setIdle();
      this.#calls.emitUpdate();
    } catch (error) {
      await this.#fail(error);
    } finally {
      this.#init.onEnd();
      this.#ended.resolve();
    }
  }

  /** Answers the newest prompt; `true` when a tool has ended the turn. */
  async #answer(): Promise<boolean> {
    const { sessionID, store, script, scope } = this.#init;
    const signal = this.#aborted.signal;
    const prompt = this.#prompts.splice(0).at(-1);
    const session = store.find(sessionID);
    if (prompt === undefined || session === undefined) throw new SessionGoneError();
    const player = new StepPlayer(this.#init, this.#calls, prompt.message, signal);
    this.#player = player;
    const call = this.#calls.begin(prompt.message, prompt.text);
    // The client gets the answer to its prompt before the script runs.
    await nextMacrotask(signal);
    const { title, parentID } = session;
    const input = {
      prompt: prompt.text,
      session: { id: sessionID, title, parentID },
      directory: scope.directory,
    };
    const last = await player.play(script(input), call);
    if (last === undefined) return true;
    const isObjectMissing = prompt.message.format?.type === 'json_schema';
    await this.#calls.finish(last, signal, isObjectMissing ? { error: NO_OBJECT } : undefined);
    return false;
  }

  async #fail(error: unknown): Promise<void> {
    if (error instanceof PromptRefusedError) this.#refuse(error);
    else if (this.#isKilled) return;
    else if (this.#calls.status.type === 'retry') this.#stopRetrying();
    else await this.#break(this.#aborted.signal.aborted ? ABORTED : errorInfoOf(error));
  }

  /** Ends the turn for a model that does not exist: the session gets no answer. */
  #refuse(error: PromptRefusedError): void {
    this.#refusal = error;
    this.#emitError(error.info);
    this.#calls.setIdle();
  }

  /** Ends a turn that is aborted between two attempts: its answer names no error. */
  #stopRetrying(): void {
    this.#calls.break();
    this.#calls.setIdle();
  }

  /** Ends a turn that was cut off: the session is idle before its message names the error, and again after that. */
  async #break(error: ServerErrorInfo): Promise<void> {
    this.#emitError(error);
    this.#calls.setIdle();
    await nextMacrotask();
    if (this.#isKilled) return;
    this.#calls.break(error);
    this.#calls.setIdle();
  }

  #emitError(error: ServerErrorInfo): void {
    const { sessionID, events, scope } = this.#init;
    events.emit(scope, 'session.error', { sessionID, error });
  }
}

function errorInfoOf(error: unknown): ServerErrorInfo {
  if (error instanceof ScriptedFailure) return error.info;
  return { name: 'UnknownError', data: { message: String(error) } };
}
