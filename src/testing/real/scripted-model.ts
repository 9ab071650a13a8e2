import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { abortable, deferred } from '../../core/abort.js';
import { text } from '../script/steps.js';
import { ModelAnswer, sendJson } from './model-answer.js';
import { play, type ModelAnswerEnd } from './model-player.js';
import type { ModelStep } from './model-steps.js';
import { isSummaryRequest, isTitleRequest, turnOf, type ModelTurn } from './model-turn.js';

/** A recorded chat request. */
export interface ModelRequest extends ModelTurn {
  /** The position among all recorded requests, from 0. */
  readonly index: number;
  /** The parsed body. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Resolves with how the answer ended; `disconnected` when OpenCode hung up first. */
  readonly ended: Promise<ModelAnswerEnd>;
}

/** Gives the steps by which the model answers a request. */
export type ModelScript = (turn: ModelTurn) => Iterable<ModelStep> | AsyncIterable<ModelStep>;

/** A running scripted model. */
export interface ScriptedModel extends AsyncDisposable {
  /** The base URL for an OpenAI-compatible provider, with `/v1` at its end. */
  readonly baseURL: string;
  readonly port: number;
  /** The number of recorded chat requests; those for titles and summaries do not count. */
  readonly calls: number;
  /** The recorded chat requests, without those for titles and summaries. */
  requests(): readonly ModelRequest[];
  /** Answers later requests with another script; running answers go on with theirs. */
  use(script: ModelScript): void;
  /**
   * Resolves with the first matching request, also when it is recorded already.
   *
   * @throws the reason of `signal` when that aborts first.
   * @throws {Error} when the model is closed first.
   */
  waitForRequest(
    predicate?: (request: ModelRequest) => boolean,
    options?: { readonly signal?: AbortSignal },
  ): Promise<ModelRequest>;
  /** Cuts every running answer, closes the port and rejects waiting `waitForRequest` calls; idempotent. */
  close(): Promise<void>;
}

/** The title that every session gets by default. */
export const SCRIPTED_TITLE = 'Scripted title';

/** The answers to requests that OpenCode makes for its own purposes. */
export interface ModelAnswers {
  /** Gives the title of a session by its first prompt. @default {@link SCRIPTED_TITLE} */
  readonly title?: (prompt: string) => string;
  /** The summary of a session. @default the script answers as to a prompt */
  readonly summary?: string | ModelScript;
}

interface Waiter {
  readonly matches: (request: ModelRequest) => boolean;
  readonly resolve: (request: ModelRequest) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Starts an OpenAI-compatible server on a free loopback port that answers by `script`.
 *
 * When a script throws, the server answers with HTTP 400 and the message, which OpenCode does not retry: the turn under test
 * ends with an error that names the mistake.
 *
 * @param script - @default answers every prompt with `ok`
 *
 * @example
 * ```ts
 * await using model = await startScriptedModel(({ step }) =>
 *   step === 0 ? [tool('bash', { command: 'ls', description: 'List files' })] : [text('done')],
 * );
 * ```
 */
export async function startScriptedModel(
  script: ModelScript = () => [text('ok')],
  { title = () => SCRIPTED_TITLE, summary }: ModelAnswers = {},
): Promise<ScriptedModel> {
  let current = script;
  let toolCalls = 0;
  const recorded: ModelRequest[] = [];
  const waiters = new Set<Waiter>();
  const closing = new AbortController();

  const nextToolCallID = (): string => `call_${++toolCalls}`;

  function record(request: ModelRequest): void {
    recorded.push(request);
    for (const waiter of waiters) {
      try {
        if (waiter.matches(request)) waiter.resolve(request);
      } catch (error) {
        waiter.reject(error);
      }
    }
  }

  async function chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await json(request)) as Record<string, unknown>;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, closing.signal]);
    const answer = new ModelAnswer(response, body['stream'] === true);
    const turn = turnOf(body, request.headers);
    if (isTitleRequest(turn)) {
      await play([text(title(turn.prompt))], answer, signal, nextToolCallID);
      return;
    }
    if (summary !== undefined && isSummaryRequest(turn)) {
      const steps = typeof summary === 'string' ? [text(summary)] : summary(turn);
      await play(steps, answer, signal, nextToolCallID);
      return;
    }
    const ended = deferred<ModelAnswerEnd>();
    record({ ...turn, index: recorded.length, body, ended: ended.promise });
    try {
      ended.resolve(await play(current(turn), answer, signal, nextToolCallID));
    } catch (error) {
      answer.fail(400, { error: { message: `scripted model: ${String(error)}`, type: 'script_error' } });
      ended.resolve('failed');
    }
  }

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://model');
    if (request.method === 'POST' && pathname === '/v1/chat/completions') {
      chat(request, response).catch(() => response.destroy());
    } else if (request.method === 'GET' && pathname === '/v1/models') {
      sendJson(response, 200, {
        object: 'list',
        data: [{ id: 'scripted', object: 'model', owned_by: 'scripted' }],
      });
    } else {
      sendJson(response, 404, { error: { message: `no ${request.method} ${pathname} here` } });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= shutDown());

  async function shutDown(): Promise<void> {
    closing.abort();
    for (const waiter of waiters) waiter.reject(new Error('the scripted model was closed'));
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  return {
    baseURL: `http://127.0.0.1:${port}/v1`,
    port,
    get calls() {
      return recorded.length;
    },
    requests: () => [...recorded],
    use(next) {
      current = next;
    },
    async waitForRequest(predicate = () => true, { signal } = {}) {
      const early = recorded.find(predicate);
      if (early) return early;
      if (closed) throw new Error('the scripted model was closed');
      const { promise, resolve, reject } = deferred<ModelRequest>();
      const waiter = { matches: predicate, resolve, reject };
      waiters.add(waiter);
      try {
        return await abortable(promise, signal);
      } finally {
        waiters.delete(waiter);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
