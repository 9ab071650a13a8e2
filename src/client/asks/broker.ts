import { delay, onAbort } from '../../core/abort.js';
import type { Clock } from '../../core/clock.js';
import { isPermanent } from '../../errors.js';
import type { Logger } from '../../core/logger.js';
import { parsePermissionDecision, parseQuestionDecision, type AskPolicies } from './policy.js';
import { answerBy } from './answer.js';
import { AskLevels, type TurnAsks } from './resolver.js';
import { PermissionAsk, QuestionAsk, type Ask, type AskOutcome } from './reply.js';
import { isNotPending, type AskKinds, type AskWire, type PendingAsks } from './api.js';
import type { EventHub } from '../events/hub.js';
import type { RequestOptions } from '../http/request-options.js';
import type { PermissionRequest, QuestionRequest } from '../schema/ask.js';
import type { EventType, OpenCodeEvent } from '../schema/event.js';
import type { SessionInfo } from '../schema/session.js';

/** How long an ask may be left to a listener that does not exist before the logger is told. */
const UNHEARD_MS = 1_000;
/** Limits of the requests nobody outside waits for. */
const OWN_REQUEST: RequestOptions = { timeoutMs: 10_000 };
/** How often, and with which first pause, such a request is tried. */
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 200;
/** Asks that are over are remembered up to this many: the server lists those of an aborted turn for ever. */
const MAX_GONE = 1_000;
/** So many may wait at a time; an honest server has as many as it has sessions at work. */
const MAX_OPEN = 1_000;
/** So many levels of parents are asked for; what a server says of them may have no end. */
const MAX_PARENTS = 100;
/** What tells of asks. */
const ASK_EVENTS: ReadonlySet<string> = new Set<EventType>([
  'permission.asked',
  'permission.replied',
  'question.asked',
  'question.replied',
  'question.rejected',
  'session.idle',
  'session.deleted',
  'server.instance.disposed',
]);

export interface RepoAsksInit {
  readonly wire: AskWire;
  readonly hub: EventHub;
  /** The client's policies. */
  readonly policies: AskPolicies;
  readonly sessions: {
    unseen(sessionID: string): string | undefined;
    isWithin(sessionID: string, rootID: string): boolean;
    learn(info: SessionInfo): void;
  };
  /** Whether the policies of client and repository answer for a session that no turn of this client runs. */
  readonly answersFor: (sessionID: string) => boolean;
  /** Whether the instance is loaded; asking would load it. */
  readonly isLoaded: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface OpenAsk {
  readonly ask: Ask;
  /** Aborts when no answer is needed any more. */
  readonly closed: AbortController;
  /** Whether somebody was shown it who can answer. */
  isShown: boolean;
}

/**
 * What the sessions of one repository ask: each ask is delivered once, to the policy of its turn, session, repository or
 * client, or else to who reads the turn.
 */
export class RepoAsks {
  readonly #init: RepoAsksInit;
  readonly #levels: AskLevels;
  readonly #open = new Map<string, OpenAsk>();
  readonly #gone = new Set<string>();
  readonly #warned = new Set<string>();
  #hasToldExcess = false;
  #unlisten: (() => void) | undefined;
  /** Whether policies are at work, so that listening does not end with a turn. */
  #isWatching = false;
  /** Aborts when nobody listens any more; another one for each time. */
  #listening = new AbortController();
  /** For whom what is pending is being read. */
  #reading: AbortSignal | undefined;
  #readAgain = false;
  /** Whether somebody else has read what is pending after the gap that is about to be told. */
  #wasReread = false;

  constructor(init: RepoAsksInit) {
    this.#init = init;
    this.#levels = new AskLevels({
      policies: init.policies,
      answersFor: init.answersFor,
      isWithin: (sessionID, rootID) => this.#isWithin(sessionID, rootID),
    });
  }

  /** The requests about asks. */
  get wire(): AskWire {
    return this.#init.wire;
  }

  /** The policies of the repository. */
  get policies(): AskPolicies {
    return this.#levels.repo;
  }

  set policies(policies: AskPolicies) {
    this.#levels.repo = policies;
    this.watch();
  }

  /** The policies of one session and its children. */
  sessionPolicies(sessionID: string): AskPolicies {
    return this.#levels.ofSession(sessionID);
  }

  setSessionPolicies(sessionID: string, policies: AskPolicies): void {
    this.#levels.setSession(sessionID, policies);
    this.watch();
  }

  /** Forgets a session that was deleted. */
  forget(sessionID: string): void {
    this.#levels.forget(sessionID);
    this.#warned.delete(sessionID);
  }

  /** Starts to listen as soon as there is a policy and an instance. */
  watch(): void {
    if (this.#isWatching || !this.#levels.isActive || !this.#init.isLoaded()) return;
    this.#isWatching = true;
    this.#listen();
    // What was asked before is answered too. Without a connection, the gap that follows one brings it.
    this.#init.hub.connect().then(
      () => this.#read(),
      () => undefined,
    );
  }

  /** Takes part in a turn until the returned function is called. The event stream must be up. */
  follow(follower: TurnAsks): () => void {
    this.#levels.followers.add(follower);
    this.#listen();
    const callOff = (): void =>
      this.#closeWhere(({ sessionID }) => this.#isWithin(sessionID, follower.sessionID));
    const detach = onAbort(follower.abortRequested, callOff);
    return () => {
      if (!this.#levels.followers.delete(follower)) return;
      detach();
      callOff();
      if (this.#levels.followers.size === 0 && !this.#isWatching) this.#stop();
    };
  }

  /** Takes what was read after a gap; `undefined` when it could not be read, so that it is read here when the gap is told. */
  reread(pending: PendingAsks | undefined): void {
    this.#wasReread = pending !== undefined && this.#isListening;
    if (pending === undefined || !this.#isListening) return;
    const { signal } = this.#listening;
    const before = [...this.#open.keys()];
    this.#waiting(pending, { ...OWN_REQUEST, signal }).then(
      (waiting) => {
        if (!signal.aborted) this.#correct(before, waiting);
      },
      () => this.#read(),
    );
  }

  /** The permission requests that wait for an answer now. */
  async pendingPermissions(options?: RequestOptions): Promise<PermissionAsk[]> {
    const { permissions } = await this.#pending(options, { permissions: true });
    return permissions.map((request) => this.#shown(request.id, () => this.#permissionAsk(request)));
  }

  /** The questions that wait for an answer now. */
  async pendingQuestions(options?: RequestOptions): Promise<QuestionAsk[]> {
    const { questions } = await this.#pending(options, { questions: true });
    return questions.map((request) => this.#shown(request.id, () => this.#questionAsk(request)));
  }

  /** Sends an answer; one that comes twice or late changes nothing. */
  async settle(requestID: string, send: () => Promise<unknown>): Promise<AskOutcome> {
    if (this.#gone.has(requestID)) return 'gone';
    try {
      await send();
    } catch (error) {
      if (!isNotPending(error)) throw error;
      this.#close(requestID);
      return 'gone';
    }
    this.#close(requestID);
    return 'answered';
  }

  /** Reads who the session and its parents are, as far as they are unknown. */
  async learnParents(sessionID: string, options?: RequestOptions): Promise<void> {
    const { sessions, wire } = this.#init;
    for (let level = 0; level < MAX_PARENTS; level++) {
      const next = sessions.unseen(sessionID);
      if (next === undefined) return;
      sessions.learn(await wire.session(next, options));
    }
  }

  get #isListening(): boolean {
    return this.#unlisten !== undefined;
  }

  #listen(): void {
    if (this.#isListening) return;
    this.#listening = new AbortController();
    this.#unlisten = this.#init.hub.listen(this.#init.wire.directory, {
      wants: (type) => ASK_EVENTS.has(type),
      event: (event) => this.#observe(event),
      lost: () => this.#stop(),
    });
  }

  #stop(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
    this.#isWatching = false;
    this.#wasReread = false;
    this.#listening.abort();
    for (const { closed } of this.#open.values()) closed.abort();
    this.#open.clear();
  }

  #observe(event: OpenCodeEvent): void {
    switch (event.type) {
      case 'permission.asked':
        this.#take(this.#permissionAsk(event.properties));
        return;
      case 'question.asked':
        this.#take(this.#questionAsk(event.properties));
        return;
      case 'permission.replied':
      case 'question.replied':
      case 'question.rejected':
        this.#close(event.properties.requestID);
        return;
      case 'session.idle':
      case 'session.deleted': {
        const { sessionID } = event.properties;
        this.#closeWhere((request) => request.sessionID === sessionID);
        return;
      }
      case 'server.instance.disposed':
        this.#closeWhere(() => true);
        return;
      case 'jarvis.server':
        if (event.properties.state === 'restarting') this.#closeWhere(() => true);
        return;
      case 'jarvis.gap':
        if (event.properties.reason === 'overflow') return;
        if (!this.#wasReread || event.properties.dropped > 0) void this.#read();
        this.#wasReread = false;
        return;
      default:
    }
  }

  #take(ask: Ask): void {
    const { id } = ask.request;
    if (this.#open.has(id) || this.#gone.has(id)) return;
    if (this.#open.size >= MAX_OPEN) return this.#refuse(ask);
    const open = { ask, closed: new AbortController(), isShown: false };
    this.#open.set(id, open);
    const { sessionID } = ask.request;
    // A child, or a parent of it, whose beginning fell into a gap: only the server knows whose it is.
    if (this.#init.sessions.unseen(sessionID) === undefined) this.#route(open);
    else void this.#learn(open).then(() => this.#route(open));
  }

  #refuse({ directory, request }: Ask): void {
    if (!this.#hasToldExcess) {
      const text = `more than ${MAX_OPEN} requests wait for an answer: this one and later ones are left to pending()`;
      this.#init.logger.warn(text, { directory, requestID: request.id });
    }
    this.#hasToldExcess = true;
  }

  #route(open: OpenAsk): void {
    const { signal } = open.closed;
    if (signal.aborted || this.#levels.isAbortRequested(open.ask.request.sessionID)) return;
    const answering = this.#answer(open);
    if (answering === undefined) return this.#deliver(open);
    void answering.then((isAnswered) => {
      if (!isAnswered && !signal.aborted) this.#deliver(open);
    });
  }

  /** Has the most specific policy answer; `undefined` or `false` when that is left to others. */
  #answer({ ask, closed: { signal } }: OpenAsk): Promise<boolean> | undefined {
    const { logger } = this.#init;
    const levels = this.#levels.of(ask.request.sessionID);
    if (ask.type === 'permission') {
      const policy = levels.find(({ permission }) => permission !== undefined)?.permission;
      if (policy === undefined || policy.source === 'ask') return undefined;
      return answerBy(policy, {
        ask,
        request: ask.request,
        parse: parsePermissionDecision,
        reply: (decision) => ask.reply(decision, OWN_REQUEST),
        signal,
        logger,
      });
    }
    const policy = levels.find(({ question }) => question !== undefined)?.question;
    if (policy === undefined || policy.source === 'ask') return undefined;
    return answerBy(policy, {
      ask,
      request: ask.request,
      parse: (name, value) => parseQuestionDecision(name, value, ask.request.questions.length),
      reply: (decision) => ask.reply(decision, OWN_REQUEST),
      signal,
      logger,
    });
  }

  #isWithin(sessionID: string, rootID: string): boolean {
    return this.#init.sessions.isWithin(sessionID, rootID);
  }

  /** Leaves an ask to who reads the turn or the events. */
  #deliver(open: OpenAsk): void {
    const { ask, closed } = open;
    const { sessionID } = ask.request;
    const followers = this.#levels.followersOf(sessionID);
    for (const follower of followers) follower.deliver(ask);
    if (followers.length === 0 || this.#warned.has(sessionID)) return;
    const timer = this.#init.clock.after(UNHEARD_MS, () => {
      if (open.isShown || followers.some((follower) => follower.hasReader())) return;
      if (this.#warned.has(sessionID) || this.#init.hub.hasReader(eventOf(ask))) return;
      this.#warned.add(sessionID);
      this.#init.logger.warn(
        `the session waits for an answer to a ${ask.type} request and nobody listens: read turn.stream(), subscribe to ` +
          `${ask.type}.asked, or set a policy (the option ${ask.type}s of the client, or see TurnOptions)`,
        { directory: ask.directory, sessionID, requestID: ask.request.id },
      );
    });
    onAbort(closed.signal, () => timer.cancel());
  }

  /** Reads who the session and its parents are, as far as they are unknown, again and again when that fails. Never rejects. */
  async #learn({ ask, closed: { signal } }: OpenAsk): Promise<void> {
    const { logger } = this.#init;
    const { sessionID } = ask.request;
    let pauseMs = FIRST_PAUSE_MS;
    for (let attempt = 1; !signal.aborted && attempt <= ATTEMPTS; attempt++) {
      try {
        return await this.learnParents(sessionID, { ...OWN_REQUEST, signal });
      } catch (error) {
        if (signal.aborted) return;
        logger.warn('asking session not read', { sessionID, error: String(error) });
        // E.g. a parent that was deleted.
        if (isPermanent(error)) return;
        await delay(pauseMs, signal).catch(() => undefined);
        pauseMs *= 2;
      }
    }
  }

  /** Reads what is pending, as long as anybody listens. Never rejects. */
  async #read(): Promise<void> {
    const { signal } = this.#listening;
    this.#readAgain = true;
    if (this.#reading === signal) return;
    this.#reading = signal;
    let pauseMs = FIRST_PAUSE_MS;
    for (let attempt = 1; !signal.aborted && this.#readAgain && attempt <= ATTEMPTS; attempt++) {
      this.#readAgain = false;
      try {
        if (this.#init.isLoaded()) await this.#readOnce(signal);
        attempt = 0;
      } catch (error) {
        if (signal.aborted) break;
        this.#init.logger.warn('asks not read again', { error: String(error) });
        if (isPermanent(error)) break;
        this.#readAgain = true;
        await delay(pauseMs, signal).catch(() => undefined);
        pauseMs *= 2;
      }
    }
    if (this.#reading === signal) this.#reading = undefined;
  }

  async #readOnce(signal: AbortSignal): Promise<void> {
    const before = [...this.#open.keys()];
    const wanted = { permissions: true, questions: true };
    const pending = await this.#pending({ ...OWN_REQUEST, signal }, wanted);
    if (!signal.aborted) this.#correct(before, pending);
  }

  /** Takes what is pending, and closes what was known before and is over. */
  #correct(before: readonly string[], { permissions, questions }: PendingAsks): void {
    const asks = [
      ...permissions.map((request) => this.#permissionAsk(request)),
      ...questions.map((request) => this.#questionAsk(request)),
    ];
    const listed = new Set(asks.map((ask) => ask.request.id));
    for (const id of before) if (!listed.has(id)) this.#close(id);
    for (const ask of asks) this.#take(ask);
  }

  /** What is listed and still waits. */
  async #pending(options: RequestOptions | undefined, wanted: AskKinds): Promise<PendingAsks> {
    return this.#waiting(await this.#init.wire.pending(wanted, options), options);
  }

  /** Leaves out what is over. What was not delivered here may have ended unseen, so the server is asked. */
  async #waiting(listed: PendingAsks, options: RequestOptions | undefined): Promise<PendingAsks> {
    const ended = new Set<string>();
    const all = [...listed.permissions, ...listed.questions];
    await Promise.all(
      all.map(async (request) => {
        if (!this.#open.has(request.id) && (await this.#hasEnded(request, options))) ended.add(request.id);
      }),
    );
    return {
      permissions: listed.permissions.filter(({ id }) => !ended.has(id)),
      questions: listed.questions.filter(({ id }) => !ended.has(id)),
    };
  }

  async #hasEnded(request: Ask['request'], options: RequestOptions | undefined): Promise<boolean> {
    return this.#gone.has(request.id) || (await this.#init.wire.hasEnded(request, options));
  }

  /** The ask of a request that was shown to the caller: the one that was delivered, if it was. */
  #shown<A extends Ask>(requestID: string, make: () => A): A {
    const open = this.#open.get(requestID);
    if (open === undefined) return make();
    open.isShown = true;
    return open.ask as A;
  }

  #permissionAsk(request: PermissionRequest): PermissionAsk {
    const { wire } = this.#init;
    return new PermissionAsk(request, wire.directory, (decision, options) =>
      this.#reply(request, options, () => wire.decidePermission(request, decision, options)),
    );
  }

  #questionAsk(request: QuestionRequest): QuestionAsk {
    const { wire } = this.#init;
    return new QuestionAsk(request, wire.directory, (decision, options) =>
      this.#reply(request, options, () => wire.decideQuestion(request, decision, options)),
    );
  }

  /** Sends an answer, unless the tool call that asked has ended unseen. */
  async #reply(
    request: Ask['request'],
    options: RequestOptions | undefined,
    send: () => Promise<unknown>,
  ): Promise<AskOutcome> {
    if (!this.#open.has(request.id) && (await this.#hasEnded(request, options))) this.#close(request.id);
    return this.settle(request.id, send);
  }

  #closeWhere(matches: (request: Ask['request']) => boolean): void {
    for (const [id, { ask }] of this.#open) if (matches(ask.request)) this.#close(id);
  }

  /** Whatever an ask waits for, it is over. */
  #close(requestID: string): void {
    this.#gone.delete(requestID);
    this.#gone.add(requestID);
    const [oldest] = this.#gone;
    if (this.#gone.size > MAX_GONE && oldest !== undefined) this.#gone.delete(oldest);
    this.#open.get(requestID)?.closed.abort();
    this.#open.delete(requestID);
  }
}

/** The event an ask came with. */
function eventOf(ask: Ask): OpenCodeEvent {
  const { directory } = ask;
  return ask.type === 'permission'
    ? { directory, id: '', type: 'permission.asked', properties: ask.request }
    : { directory, id: '', type: 'question.asked', properties: ask.request };
}
