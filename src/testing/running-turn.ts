import { abortable, delay, deferred } from '../abort.js';
import type { ServerErrorInfo, UserMessage } from '../client/schema/message.js';
import type { SessionStatus } from '../client/schema/session.js';
import { ModelCall, type ModelCallInit } from './model-call.js';
import { moment } from './moment.js';
import { stepsOf, type MockScript } from './script.js';
import { SessionGoneError } from './session-store.js';
import type { MockStep } from './steps.js';

/** What a turn needs of the server. */
export interface RunningTurnInit extends ModelCallInit {
  readonly sessionID: string;
  readonly script: MockScript;
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

const ABORTED: ServerErrorInfo = { name: 'MessageAbortedError', data: { message: 'Aborted' } };

/** A session at work: it answers its prompts, in the server's order of events, until there is none left. */
export class RunningTurn {
  readonly #init: RunningTurnInit;
  readonly #prompts: TurnPrompt[] = [];
  readonly #aborted = new AbortController();
  readonly #ended = deferred();
  #call: ModelCall | undefined;
  #isBusy = true;

  constructor(init: RunningTurnInit) {
    this.#init = init;
  }

  /** Between its end and the last that is told of it, a session already counts as idle. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Adds a prompt. One that comes while the turn runs is answered in the same turn; of several, only the newest. */
  add(prompt: TurnPrompt): void {
    this.#prompts.push(prompt);
  }

  /** Answers what was added, if anything was. */
  start(): void {
    void this.#run();
  }

  /** Ends it; resolves when everything about its end is stored and told. */
  abort(): Promise<void> {
    this.#aborted.abort();
    return this.#ended.promise;
  }

  async #run(): Promise<void> {
    try {
      while (this.#prompts.length > 0) await this.#answer();
      this.#tellStatus({ type: 'busy' });
      this.#tellIdle();
      this.#tellUpdate();
    } catch (error) {
      await this.#break(this.#aborted.signal.aborted ? ABORTED : errorInfoOf(error));
    } finally {
      this.#init.onEnd();
      this.#ended.resolve();
    }
  }

  /** Answers the newest prompt. */
  async #answer(): Promise<void> {
    const { sessionID, store, script, place } = this.#init;
    const signal = this.#aborted.signal;
    const prompt = this.#prompts.splice(0).at(-1);
    const session = store.find(sessionID);
    if (prompt === undefined || session === undefined) throw new SessionGoneError();
    let call = this.#begin(prompt.message, prompt.text);
    // Before the script has a say: whoever prompted gets its answer first.
    await moment(signal);
    const { title, parentID } = session;
    const input = {
      prompt: prompt.text,
      session: { id: sessionID, title, parentID },
      directory: place.directory,
    };
    for await (const step of stepsOf(script, input, signal)) {
      if (step.type === 'text' && call.hasTools) {
        this.#finish(call);
        call = this.#begin(prompt.message);
      }
      await this.#play(step, call, signal);
    }
    if (call.hasTools) {
      this.#finish(call);
      call = this.#begin(prompt.message);
    }
    this.#finish(call);
  }

  async #play(step: MockStep, call: ModelCall, signal: AbortSignal): Promise<void> {
    switch (step.type) {
      case 'text':
        for (const delta of piecesOf(step.text, step.chunks)) {
          call.addText(delta);
          await moment(signal);
        }
        return;
      case 'tool': {
        const tool = call.addTool(step);
        await moment(signal);
        tool.run();
        await moment(signal);
        return;
      }
      case 'wait':
        return delay(step.ms, signal);
      case 'wait-for':
        await abortable(Promise.resolve(step.gate), signal);
        return;
      case 'hang':
        return abortable(new Promise<never>(() => undefined), signal);
      case 'fail':
        throw new ScriptedFailure(failureOf(step));
      default:
        throw new TypeError(`The script yielded no step: ${JSON.stringify(step)}.`);
    }
  }

  #begin(prompt: UserMessage, title?: string): ModelCall {
    this.#tellStatus({ type: 'busy' });
    this.#call = new ModelCall(this.#init, prompt);
    this.#tellUpdate();
    if (title !== undefined) {
      this.#init.store.entitle(
        this.#init.place,
        this.#init.sessionID,
        title.split('\n', 1)[0]?.slice(0, 50) ?? '',
      );
    }
    this.#tellStatus({ type: 'busy' });
    return this.#call;
  }

  #finish(call: ModelCall): void {
    const { store, sessionID } = this.#init;
    const used = call.finish();
    this.#call = undefined;
    const session = store.find(sessionID);
    if (session?.tokens === undefined) return;
    session.cost = (session.cost ?? 0) + used.cost;
    session.tokens.input += used.tokens.input;
    session.tokens.output += used.tokens.output;
  }

  /** The end of a turn that has no answer: the session is idle before its message says why, and again after. */
  async #break(error: ServerErrorInfo): Promise<void> {
    const { sessionID, events, place, store } = this.#init;
    events.emit(place, 'session.error', { sessionID, error });
    this.#tellIdle();
    await moment();
    if (store.find(sessionID) !== undefined) this.#call?.break(error);
    this.#tellIdle();
  }

  #tellStatus(status: SessionStatus): void {
    const { sessionID, events, place } = this.#init;
    events.emit(place, 'session.status', { sessionID, status });
  }

  #tellIdle(): void {
    this.#isBusy = false;
    this.#tellStatus({ type: 'idle' });
    this.#init.events.emit(this.#init.place, 'session.idle', { sessionID: this.#init.sessionID });
  }

  #tellUpdate(): void {
    const { sessionID, events, place, store } = this.#init;
    store.update(place, sessionID);
    events.emit(place, 'session.diff', { sessionID, diff: [] });
  }
}

function errorInfoOf(error: unknown): ServerErrorInfo {
  if (error instanceof ScriptedFailure) return error.info;
  return { name: 'UnknownError', data: { message: String(error) } };
}

function failureOf({ name, message, data }: Extract<MockStep, { readonly type: 'fail' }>): ServerErrorInfo {
  const common = name === 'APIError' ? { statusCode: 400, isRetryable: false } : {};
  return { name, data: { message, ...common, ...data } } as ServerErrorInfo;
}

/** The deltas of a text: its words with the blanks behind them, or as many pieces as were asked for. */
function piecesOf(text: string, chunks: number | undefined): string[] {
  if (chunks === undefined) return text.match(/\S+\s*|\s+/g) ?? [];
  const characters = Array.from(text);
  const size = Math.max(1, Math.ceil(characters.length / chunks));
  const pieces: string[] = [];
  for (let start = 0; start < characters.length; start += size) {
    pieces.push(characters.slice(start, start + size).join(''));
  }
  return pieces;
}
