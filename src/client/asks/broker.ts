import { onAbort } from '../../core/abort.js';
import type { Clock } from '../../core/clock.js';
import type { Logger } from '../../core/logger.js';
import { answerBy } from './answer.js';
import { isNotPending, type AskApi, type ListedAsks } from './api.js';
import { attemptRepeatedly, OWN_REQUEST } from './attempts.js';
import { ALL_KINDS, ASK_KINDS, isOfKind, type AnswerableAsk, type AskOf, type RequestOf } from './kinds.js';
import { PendingAsks, type PendingAsk } from './pending.js';
import type { AskPolicies } from './policy.js';
import type { Ask, AskKind, AskOutcome } from './reply.js';
import { PolicyResolver, type TurnAsks } from './resolver.js';
import type { EventHub } from '../events/hub.js';
import type { RequestOptions } from '../http/request-options.js';
import type { EventType, OpenCodeEvent } from '../schema/event.js';
import type { SessionInfo } from '../schema/session.js';

/** How long an ask may wait without a reader before the broker warns of it. */
const UNREAD_MS = 1_000;
/** The broker reads so many levels of parents: a server may name parents without end. */
const MAX_PARENTS = 100;
/** The events that begin or settle an ask. */
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

export interface AskBrokerInit {
  readonly api: AskApi;
  readonly hub: EventHub;
  /** The client's policies. */
  readonly policies: AskPolicies;
  readonly sessions: {
    /** The nearest of a session and its parents that is not known yet. */
    firstUnknownAncestor(sessionID: string): string | undefined;
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

/**
 * Delivers each ask of one repository's sessions once: to the policy of its turn, session, repository or client, or else to
 * the reader of its turn.
 */
export class AskBroker {
  readonly #init: AskBrokerInit;
  readonly #resolver: PolicyResolver;
  readonly #pending: PendingAsks;
  /** Sessions whose unread ask was warned of. */
  readonly #warned = new Set<string>();
  #hasWarnedOfExcess = false;
  #unlisten: (() => void) | undefined;
  /** Whether policies are at work, so that listening does not end with a turn. */
  #isWatching = false;
  /** Of {@link #reads}; made with the first reading, which most turns do without. */
  #listening: AbortController | undefined;
  /** Signal of the listening period the current read belongs to. */
  #reading: AbortSignal | undefined;
  #readAgain = false;
  /** Whether `resync` was handed what is pending after the gap that comes next. */
  #wasResynced = false;

  constructor(init: AskBrokerInit) {
    this.#init = init;
    const { policies, answersFor, sessions } = init;
    this.#resolver = new PolicyResolver({
      policies,
      answersFor,
      isWithin: (sessionID, rootID) => sessions.isWithin(sessionID, rootID),
    });
    this.#pending = new PendingAsks((ask) => this.#warnOfExcess(ask));
  }

  /** Sends the requests about asks. */
  get api(): AskApi {
    return this.#init.api;
  }

  /** The policies of the repository. */
  get policies(): AskPolicies {
    return this.#resolver.repo;
  }

  set policies(policies: AskPolicies) {
    this.#resolver.repo = policies;
    this.watch();
  }

  /** The policies of one session and its children. */
  sessionPolicies(sessionID: string): AskPolicies {
    return this.#resolver.ofSession(sessionID);
  }

  setSessionPolicies(sessionID: string, policies: AskPolicies): void {
    this.#resolver.setSession(sessionID, policies);
    this.watch();
  }

  /** Forgets a session that was deleted. */
  forget(sessionID: string): void {
    this.#resolver.forget(sessionID);
    this.#warned.delete(sessionID);
  }

  /** Starts to listen as soon as there is a policy and an instance. */
  watch(): void {
    if (this.#isWatching || !this.#resolver.isActive || !this.#init.isLoaded()) return;
    this.#isWatching = true;
    this.#listen();
    // Policies answer what was asked before, too. If the connection fails, the gap after it has the asks read.
    this.#init.hub.connect().then(
      () => this.#read(),
      () => undefined,
    );
  }

  /** Takes part in a turn until the returned function is called. The event stream must be up. */
  follow(turn: TurnAsks): () => void {
    const { turns } = this.#resolver;
    turns.add(turn);
    this.#listen();
    const callOff = (): void =>
      this.#pending.settleWhere(({ sessionID }) => this.#init.sessions.isWithin(sessionID, turn.sessionID));
    const detach = onAbort(turn.abortRequested, callOff);
    if (turn.isJoining) this.#join(turn);
    return () => {
      if (!turns.delete(turn)) return;
      detach();
      if (!turn.hasLeft()) callOff();
      if (turns.size === 0 && !this.#isWatching) this.#stop();
    };
  }

  /** Takes what was read after a gap; `undefined` if that failed: the broker then reads it itself when it hears of the gap. */
  resync(listed: ListedAsks | undefined): void {
    this.#wasResynced = listed !== undefined && this.#isListening;
    if (listed === undefined || !this.#isListening) return;
    const signal = this.#reads;
    const before = this.#pending.ids;
    this.#withoutEnded(this.#asksOf(listed), { ...OWN_REQUEST, signal }).then(
      (asks) => {
        if (!signal.aborted) this.#correct(before, asks);
      },
      () => this.#read(),
    );
  }

  /** Reads the asks of a kind that wait for an answer now. */
  async pending<K extends AskKind>(kind: K, options?: RequestOptions): Promise<AskOf<K>[]> {
    const asks = await this.#readPending([kind], options);
    return asks.filter(isOfKind(kind)).map((ask) => this.#pending.show(ask));
  }

  /** Sends an answer; one that comes twice or late changes nothing. */
  async settle(requestID: string, send: () => Promise<unknown>): Promise<AskOutcome> {
    if (this.#pending.isSettled(requestID)) return 'gone';
    try {
      await send();
    } catch (error) {
      if (!isNotPending(error)) throw error;
      this.#pending.settle(requestID);
      return 'gone';
    }
    this.#pending.settle(requestID);
    return 'answered';
  }

  /** Reads who the session and its parents are, as far as they are unknown. */
  async learnParents(sessionID: string, options?: RequestOptions): Promise<void> {
    const { sessions, api } = this.#init;
    for (let level = 0; level < MAX_PARENTS; level += 1) {
      const next = sessions.firstUnknownAncestor(sessionID);
      if (next === undefined) return;
      sessions.learn(await api.session(next, options));
    }
  }

  /** Gives a turn what its session waits for already. */
  #join(turn: TurnAsks): void {
    for (const { ask, settled, isDelivered } of this.#pending.list()) {
      if (!isDelivered || !this.#init.sessions.isWithin(ask.request.sessionID, turn.sessionID)) continue;
      const answering = this.#answerOf(ask, [turn.policies], settled) ?? Promise.resolve(false);
      void answering.then((isAnswered) => {
        if (!isAnswered && !settled.aborted) turn.deliver(ask);
      });
    }
    void this.#read();
  }

  get #isListening(): boolean {
    return this.#unlisten !== undefined;
  }

  /** Aborts when the present listening period ends, and what is read in it. */
  get #reads(): AbortSignal {
    return (this.#listening ??= new AbortController()).signal;
  }

  #listen(): void {
    if (this.#isListening) return;
    this.#unlisten = this.#init.hub.listen(this.#init.api.directory, {
      wants: (type) => ASK_EVENTS.has(type),
      event: (event) => this.#onEvent(event),
      lost: () => this.#stop(),
    });
  }

  #stop(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
    this.#isWatching = false;
    this.#wasResynced = false;
    this.#listening?.abort();
    this.#listening = undefined;
    this.#pending.clear();
  }

  #onEvent(event: OpenCodeEvent): void {
    switch (event.type) {
      case 'permission.asked':
        this.#take(this.#ask('permission', event.properties));
        return;
      case 'question.asked':
        this.#take(this.#ask('question', event.properties));
        return;
      case 'permission.replied':
      case 'question.replied':
      case 'question.rejected':
        this.#pending.settle(event.properties.requestID);
        return;
      case 'session.idle':
      case 'session.deleted': {
        const { sessionID } = event.properties;
        this.#pending.settleWhere((request) => request.sessionID === sessionID);
        return;
      }
      case 'server.instance.disposed':
        this.#pending.settleWhere(() => true);
        return;
      case 'jarvis.server':
        if (event.properties.state === 'restarting') this.#pending.settleWhere(() => true);
        return;
      case 'jarvis.gap':
        if (event.properties.reason === 'overflow') return;
        if (!this.#wasResynced || event.properties.dropped > 0) void this.#read();
        this.#wasResynced = false;
        return;
      default:
    }
  }

  #take(ask: Ask): void {
    const pending = this.#pending.add(ask);
    if (pending === undefined) return;
    // The creation of a child, or of a parent of it, may have fallen into a gap: only the server knows whose it is.
    if (this.#init.sessions.firstUnknownAncestor(ask.request.sessionID) === undefined) this.#route(pending);
    else void this.#learn(pending).then(() => this.#route(pending));
  }

  #warnOfExcess({ directory, request }: Ask): void {
    if (this.#hasWarnedOfExcess) return;
    this.#hasWarnedOfExcess = true;
    const count = this.#pending.ids.length;
    const text = `${count} requests wait for an answer, which is the limit: this one and later ones are left to pending()`;
    this.#init.logger.warn(text, { directory, requestID: request.id });
  }

  #route(pending: PendingAsk): void {
    const { ask, settled } = pending;
    if (settled.aborted || this.#resolver.isAbortRequested(ask.request.sessionID)) return;
    const answering = this.#answerOf(ask, this.#resolver.of(ask.request.sessionID), settled);
    if (answering === undefined) return this.#deliver(pending);
    void answering.then((isAnswered) => {
      if (!isAnswered && !settled.aborted) this.#deliver(pending);
    });
  }

  /** Has the first policy answer, of levels in their order; `undefined` or `false` if it leaves the ask to others. */
  #answerOf(ask: Ask, levels: readonly AskPolicies[], signal: AbortSignal): Promise<boolean> | undefined {
    return ask.type === 'permission'
      ? this.#answer('permission', ask, levels, signal)
      : this.#answer('question', ask, levels, signal);
  }

  #answer<K extends AskKind>(
    kind: K,
    ask: AnswerableAsk<K>,
    levels: readonly AskPolicies[],
    signal: AbortSignal,
  ): Promise<boolean> | undefined {
    const policy = levels.map((level) => ASK_KINDS[kind].policyOf(level)).find((own) => own !== undefined);
    if (policy === undefined || policy.source === 'ask') return undefined;
    return answerBy(kind, policy, { ask, signal, logger: this.#init.logger });
  }

  /** Leaves an ask to the readers of its turns, and warns if nobody reads it. */
  #deliver(pending: PendingAsk): void {
    const { ask, settled } = pending;
    const { sessionID } = ask.request;
    pending.isDelivered = true;
    const turns = this.#resolver.turnsOf(sessionID);
    for (const turn of turns) turn.deliver(ask);
    if (turns.length === 0 || this.#warned.has(sessionID)) return;
    const timer = this.#init.clock.after(UNREAD_MS, () => {
      if (pending.isShown || turns.some((turn) => turn.hasReader())) return;
      if (this.#warned.has(sessionID) || this.#init.hub.hasReader(eventOf(ask))) return;
      this.#warned.add(sessionID);
      this.#init.logger.warn(
        `the session waits for an answer to a ${ask.type} request and nobody listens: read turn.stream(), subscribe to ` +
          `${ask.type}.asked, or set a policy (the option ${ask.type}s of the client, or see TurnOptions)`,
        { directory: ask.directory, sessionID, requestID: ask.request.id },
      );
    });
    onAbort(settled, () => timer.cancel());
  }

  /** As {@link learnParents}, repeated when that fails. Never rejects. */
  async #learn({ ask, settled: signal }: PendingAsk): Promise<void> {
    const { logger } = this.#init;
    const { sessionID } = ask.request;
    const readParents = (): Promise<void> => this.learnParents(sessionID, { ...OWN_REQUEST, signal });
    await attemptRepeatedly(readParents, {
      signal,
      onFailure: (error) =>
        logger.warn('could not read the session that asks', { sessionID, error: String(error) }),
    });
  }

  /** Reads what is pending, and once more for each call that comes meanwhile. Never rejects. */
  async #read(): Promise<void> {
    const signal = this.#reads;
    this.#readAgain = true;
    if (this.#reading === signal) return;
    this.#reading = signal;
    const readOnce = async (): Promise<void> => {
      this.#readAgain = false;
      if (!this.#init.isLoaded()) return;
      const before = this.#pending.ids;
      const asks = await this.#readPending(ALL_KINDS, { ...OWN_REQUEST, signal });
      if (!signal.aborted) this.#correct(before, asks);
    };
    const onFailure = (error: unknown): void =>
      this.#init.logger.warn('could not read the open requests again', { error: String(error) });
    while (this.#readAgain && (await attemptRepeatedly(readOnce, { signal, onFailure })));
    if (this.#reading === signal) this.#reading = undefined;
  }

  /** Takes the asks that are pending, and settles those that were pending `before` and are not any more. */
  #correct(before: readonly string[], asks: readonly Ask[]): void {
    const listed = new Set(asks.map((ask) => ask.request.id));
    for (const id of before) if (!listed.has(id)) this.#pending.settle(id);
    for (const ask of asks) this.#take(ask);
  }

  async #readPending(kinds: readonly AskKind[], options: RequestOptions | undefined): Promise<Ask[]> {
    return this.#withoutEnded(this.#asksOf(await this.#init.api.pending(kinds, options)), options);
  }

  /** Leaves out asks that are over. What was not delivered here may have ended unseen, so the server is asked. */
  async #withoutEnded(asks: readonly Ask[], options: RequestOptions | undefined): Promise<Ask[]> {
    const isPending = await Promise.all(
      asks.map(
        async ({ request }) => this.#pending.has(request.id) || !(await this.#hasEnded(request, options)),
      ),
    );
    return asks.filter((_ask, index) => isPending[index]);
  }

  async #hasEnded(request: Ask['request'], options: RequestOptions | undefined): Promise<boolean> {
    return this.#pending.isSettled(request.id) || (await this.#init.api.hasEnded(request, options));
  }

  #asksOf({ permissions, questions }: ListedAsks): Ask[] {
    return [
      ...permissions.map((request) => this.#ask('permission', request)),
      ...questions.map((request) => this.#ask('question', request)),
    ];
  }

  #ask<K extends AskKind>(kind: K, request: RequestOf<K>): AskOf<K> {
    const { api } = this.#init;
    const rules = ASK_KINDS[kind];
    return rules.create(request, api.directory, async (decision, options) => {
      const { id } = request;
      // The tool call that asked may have ended unseen: the answer would then be taken for what the next turn asks.
      if (!this.#pending.has(id) && (await this.#hasEnded(request, options))) this.#pending.settle(id);
      return this.settle(id, () => rules.send(api, request, decision, options));
    });
  }
}

/** The event an ask came with. */
function eventOf(ask: Ask): OpenCodeEvent {
  const { directory } = ask;
  return ask.type === 'permission'
    ? { directory, id: '', type: 'permission.asked', properties: ask.request }
    : { directory, id: '', type: 'question.asked', properties: ask.request };
}
