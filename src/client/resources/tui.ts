import { parseInput, type RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { assertOwnSession, type KnownSessions } from '../sessions/own-session.js';
import { booleanSchema } from '../schema/server.js';
import {
  tuiAppendPromptInputSchema,
  tuiControlRequestSchema,
  tuiExecuteCommandInputSchema,
  tuiPublishInputSchema,
  tuiSelectSessionInputSchema,
  tuiShowToastInputSchema,
  type TuiAppendPromptInput,
  type TuiControlRequest,
  type TuiExecuteCommandInput,
  type TuiPublishInput,
  type TuiSelectSessionInput,
  type TuiShowToastInput,
} from '../schema/tui.js';
import { RepoResource } from './repo-resource.js';

/**
 * Controls an OpenCode TUI that is attached to this repository. The server only publishes an event `tui.*` for it, so without
 * one every method but `controlNext()` succeeds and does nothing else.
 */
export class TuiResource extends RepoResource {
  readonly #sessions: KnownSessions;

  /** @internal */
  constructor(transport: RepoTransport, sessions: KnownSessions) {
    super(transport);
    this.#sessions = sessions;
  }

  /**
   * Appends a text to the prompt. Without a TUI it does nothing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async appendPrompt(input: TuiAppendPromptInput, options?: RequestOptions): Promise<void> {
    await this.#post('/tui/append-prompt', parseInput(tuiAppendPromptInputSchema, 'text', input), options);
  }

  /**
   * Submits the prompt. Without a TUI it does nothing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  submitPrompt(options?: RequestOptions): Promise<void> {
    return this.#post('/tui/submit-prompt', undefined, options);
  }

  /**
   * Empties the prompt. Without a TUI it does nothing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  clearPrompt(options?: RequestOptions): Promise<void> {
    return this.#post('/tui/clear-prompt', undefined, options);
  }

  /**
   * Opens the help. Without a TUI it does nothing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  openHelp(options?: RequestOptions): Promise<void> {
    return this.#post('/tui/open-help', undefined, options);
  }

  /**
   * Opens the list of sessions. Without a TUI it does nothing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  openSessions(options?: RequestOptions): Promise<void> {
    return this.#post('/tui/open-sessions', undefined, options);
  }

  /**
   * Opens the list of themes, says the API, but OpenCode 1.18.33 asks the TUI for the list of sessions. Without a TUI it does
   * nothing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  openThemes(options?: RequestOptions): Promise<void> {
    return this.#post('/tui/open-themes', undefined, options);
  }

  /**
   * Opens the list of models. Without a TUI it does nothing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  openModels(options?: RequestOptions): Promise<void> {
    return this.#post('/tui/open-models', undefined, options);
  }

  /**
   * Runs a command by its older name, such as `session_new` or `agent_cycle`. OpenCode 1.18.33 accepts every other name and
   * runs nothing: pass those, such as `session.new`, to `publish()` as `tui.command.execute`. Without a TUI it does nothing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async executeCommand(input: TuiExecuteCommandInput, options?: RequestOptions): Promise<void> {
    const json = parseInput(tuiExecuteCommandInputSchema, 'command', input);
    await this.#post('/tui/execute-command', json, options);
  }

  /**
   * Shows a toast, for 5 s by default. Without a TUI it does nothing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async showToast(input: TuiShowToastInput, options?: RequestOptions): Promise<void> {
    await this.#post('/tui/show-toast', parseInput(tuiShowToastInputSchema, 'toast', input), options);
  }

  /**
   * Publishes one of the events that control the TUI. Without a TUI it does nothing else.
   *
   * @throws {SessionDirectoryError} when it names a session of another repository; nothing is published then.
   * @throws {RequestError} with status 404 when it names a session that does not exist.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async publish(input: TuiPublishInput, options?: RequestOptions): Promise<void> {
    const json = parseInput(tuiPublishInputSchema, 'event', input);
    if (json.type === 'tui.session.select') await this.#assertOwn(json.properties.sessionID, options);
    await this.#post('/tui/publish', json, options);
  }

  /**
   * Shows a session. Without a TUI it does nothing.
   *
   * @throws {SessionDirectoryError} when the session belongs to another repository; nothing is sent then.
   * @throws {RequestError} with status 404 when there is no such session.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async selectSession(input: TuiSelectSessionInput, options?: RequestOptions): Promise<void> {
    const json = parseInput(tuiSelectSessionInputSchema, 'session', input);
    await this.#assertOwn(json.sessionID, options);
    await this.#post('/tui/select-session', json, options);
  }

  /**
   * For a TUI of your own: takes the next request for a TUI. It waits for one without limit unless you set `timeoutMs`,
   * and holds the instance meanwhile. OpenCode 1.18.33 itself makes no such requests. The client never repeats this
   * call, because it takes the request away.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  controlNext(options: RequestOptions = {}): Promise<TuiControlRequest> {
    return this.transport.send(
      { method: 'GET', path: '/tui/control/next', schema: tuiControlRequestSchema },
      { ...options, timeoutMs: options.timeoutMs ?? false, retry: false },
    );
  }

  /**
   * For a TUI of your own: answers the request that `controlNext()` took, with any JSON value. It does nothing when no
   * request waits for an answer.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  controlResponse(body: unknown, options?: RequestOptions): Promise<void> {
    return this.#post('/tui/control/response', body ?? null, options);
  }

  async #post(path: string, json: unknown, options: RequestOptions | undefined): Promise<void> {
    await this.transport.send({ method: 'POST', path, json, schema: booleanSchema }, options);
  }

  /** Makes sure that the session belongs to this repository: OpenCode 1.18.33 shows a session of any directory. */
  #assertOwn(sessionID: string, options: RequestOptions | undefined): Promise<void> {
    return assertOwnSession(this.transport, this.#sessions, sessionID, options);
  }
}
