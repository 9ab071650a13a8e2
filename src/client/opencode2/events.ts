import { LRUCache } from 'lru-cache';
import type { Decoded, FrameReader } from '../dialect/dialect.js';
import type { EventOf, EventType, OpenCodeEvent } from '../schema/event.js';
import { isRecord } from '../events/sse.js';
import type { Part } from '../schema/message.js';
import type { SessionInfo } from '../schema/session.js';
import { fromFormAnswer, toPermissionRequest, toQuestionRequest } from './ask-operations.js';
import type {
  SessionData,
  StepData,
  CreatedData,
  InboxData,
  RetryData,
  StepStarted,
  StepEnd,
  TextData,
  ToolData,
  FormOutcome,
} from './event-data.js';
import type { DialectMemory } from './memory.js';
import {
  partID,
  toAssistantInfo,
  toServerError,
  toStepFinish,
  toTextPart,
  toToolPart,
  toUserMessage,
} from './messages.js';
import type {
  StepEntry,
  StepTool,
  WireEvent,
  Form,
  WirePermissionRequest,
  StepError,
  StepToolState,
  UserEntry,
} from './wire.js';

/** How many steps and prompts are remembered while they are under way. */
const MAX_OPEN = 1_000;

/** An event with the time at which it came, where it does not tell its own. */
type TimedEvent = WireEvent & { readonly created: number };

/** Translates one event into those of OpenCode 1.18. */
type Translate = (data: never, event: TimedEvent) => OpenCodeEvent[];

/**
 * Translates the events of one connection into those of OpenCode 1.18, which the rest of the library understands. Besides them it gives
 * every event as the server sent it, unless its type has another meaning in OpenCode 1.18.
 */
export class EventTranslator implements FrameReader {
  readonly #memory: DialectMemory;
  /** Steps under way, by id. */
  readonly #steps = new LRUCache<string, StepEntry>({ max: MAX_OPEN });
  /** Prompts that are accepted and not delivered yet, by id. */
  readonly #prompts = new LRUCache<string, UserEntry>({ max: MAX_OPEN });

  constructor(memory: DialectMemory) {
    this.#memory = memory;
    // What happened before this connection is unknown.
    memory.prompts.clear();
  }

  peek(): undefined {
    return undefined;
  }

  decode(data: string): Decoded[] {
    let event: WireEvent;
    try {
      event = JSON.parse(data) as WireEvent;
    } catch {
      return [{ kind: 'malformed', reason: 'not valid JSON' }];
    }
    if (!isRecord(event) || typeof event.type !== 'string') return [{ kind: 'malformed', reason: 'no type' }];
    const { created = Date.now() } = event;
    const own = { ...event, created, data: isRecord(event.data) ? event.data : {} };
    const translate = Object.hasOwn(this.#translations, own.type) ? this.#translations[own.type] : undefined;
    const translated = this.#translated(translate, own);
    const events = [...(REPLACED.has(own.type) ? [] : [this.#asItIs(own)]), ...(translated ?? [])];
    const decoded = events.map((each): Decoded => ({ kind: 'event', event: each }));
    if (translated === undefined)
      decoded.push({ kind: 'malformed', reason: `${own.type} of an unknown shape` });
    return decoded;
  }

  /** The translation of an event; `undefined` when it is not of the shape that is known. */
  #translated(translate: Translate | undefined, event: TimedEvent): OpenCodeEvent[] | undefined {
    try {
      return translate?.(event.data as never, event) ?? [];
    } catch {
      return undefined;
    }
  }

  /** The directory of an event: its session's, else the one that it names. */
  #directoryOf({ data, location }: WireEvent): string | undefined {
    const sessionID = data['sessionID'];
    const known = typeof sessionID === 'string' ? this.#memory.sessions.get(sessionID)?.directory : undefined;
    return known ?? (typeof location?.directory === 'string' ? location.directory : undefined);
  }

  #asItIs(event: WireEvent): OpenCodeEvent {
    const { id, type, data } = event;
    return {
      directory: this.#directoryOf(event),
      id,
      type: type as EventType,
      properties: data,
    } as OpenCodeEvent;
  }

  #make<T extends EventType>(event: WireEvent, type: T, properties: EventOf<T>['properties']): OpenCodeEvent {
    return { directory: this.#directoryOf(event), id: event.id, type, properties } as OpenCodeEvent;
  }

  readonly #translations: Readonly<Record<string, Translate>> = {
    'server.connected': (_data: object, event) => [this.#make(event, 'server.connected', {})],
    'location.shutdown': (_data: object, event) => {
      const directory = event.location?.directory ?? '';
      return [this.#make(event, 'server.instance.disposed', { directory })];
    },
    'session.created': (data: CreatedData, event) => {
      const info = this.#learn(data, event);
      return [this.#make(event, 'session.created', { sessionID: info.id, info })];
    },
    'session.renamed': ({ sessionID, title }: SessionData & { readonly title: string }, event) => {
      const known = this.#memory.sessions.get(sessionID);
      if (known === undefined) return [];
      const info = { ...known, title };
      this.#memory.sessions.set(sessionID, info);
      return [this.#make(event, 'session.updated', { sessionID, info })];
    },
    'session.deleted': ({ sessionID }: SessionData, event) => {
      const info =
        this.#memory.sessions.get(sessionID) ?? unknownSession(sessionID, this.#directoryOf(event));
      const deleted = this.#make(event, 'session.deleted', { sessionID, info });
      this.#memory.sessions.delete(sessionID);
      this.#memory.prompts.delete(sessionID);
      return [deleted];
    },
    'session.execution.started': ({ sessionID }: SessionData, event) => [
      this.#make(event, 'session.status', { sessionID, status: { type: 'busy' } }),
    ],
    'session.execution.succeeded': (data: SessionData, event) => this.#ended(data, event),
    'session.execution.interrupted': (data: SessionData, event) => this.#ended(data, event),
    'session.execution.failed': (data: SessionData & { readonly error: StepError }, event) => {
      const { sessionID } = data;
      const error = toServerError(data.error);
      return [this.#make(event, 'session.error', { sessionID, error }), ...this.#ended(data, event)];
    },
    'session.retry.scheduled': (data: StepData & RetryData, event) => {
      const { sessionID, attempt, at, error } = data;
      // The attempt that comes next is named; OpenCode 1.18 names the one that failed.
      const status = { type: 'retry', attempt: attempt - 1, message: error.message, next: at } as const;
      return [this.#make(event, 'session.status', { sessionID, status })];
    },
    'session.inbox.enqueued': ({ inboxID, item }: SessionData & InboxData, event) => {
      if (item.type === 'user') {
        const { created } = event;
        this.#prompts.set(inboxID, { ...item.payload, id: inboxID, type: 'user', time: { created } });
      }
      return [];
    },
    'session.inbox.delivered': ({ sessionID, inboxID }: SessionData & { readonly inboxID: string }, event) =>
      this.#delivered(sessionID, inboxID, event),
    'session.step.started': (data: StepStarted, event) => {
      const { assistantMessageID: id, agent, model, started: created = event.created } = data;
      const entry: StepEntry = { id, type: 'assistant', time: { created }, agent, model, content: [] };
      this.#steps.set(id, entry);
      return [this.#info(data.sessionID, entry, event)];
    },
    'session.step.ended': (data: StepData & StepEnd, event) => this.#stepEnded(data, event),
    'session.step.failed': (data: StepData & StepEnd, event) =>
      this.#stepEnded({ ...data, finish: 'error' }, event),
    'session.text.started': (data: TextData, event) => [this.#text(data, event, 'text', '')],
    'session.reasoning.started': (data: TextData, event) => [this.#text(data, event, 'reasoning', '')],
    'session.text.delta': (data: TextData, event) => [this.#delta(data, event, 'text')],
    'session.reasoning.delta': (data: TextData, event) => [this.#delta(data, event, 'reasoning')],
    'session.text.ended': (data: TextData, event) => [this.#text(data, event, 'text', data.text ?? '')],
    'session.reasoning.ended': (data: TextData, event) => [
      this.#text(data, event, 'reasoning', data.text ?? ''),
    ],
    'session.tool.input.started': (data: ToolData, event) =>
      this.#tool(data, event, { status: 'streaming', input: '' }),
    'session.tool.called': (data: ToolData, event) =>
      this.#tool(data, event, { status: 'running', input: data.input ?? {} }),
    'session.tool.progress': (data: ToolData, event) => {
      const { metadata } = data;
      return this.#tool(data, event, {
        status: 'running',
        input: this.#inputOf(data),
        ...(metadata && { metadata }),
      });
    },
    'session.tool.success': (data: ToolData, event) => {
      const { content = [], metadata } = data;
      const input = this.#inputOf(data);
      return this.#tool(data, event, { status: 'completed', input, content, ...(metadata && { metadata }) });
    },
    'session.tool.failed': (data: ToolData, event) => {
      const { error = { type: 'unknown', message: '' }, metadata } = data;
      const input = this.#inputOf(data);
      return this.#tool(data, event, { status: 'error', input, error, ...(metadata && { metadata }) });
    },
    'permission.asked': (data: WirePermissionRequest, event) => [
      this.#make(event, 'permission.asked', toPermissionRequest(this.#memory, data)),
    ],
    'permission.replied': (data: EventOf<'permission.replied'>['properties'], event) => {
      this.#memory.asks.delete(data.requestID);
      return [this.#make(event, 'permission.replied', data)];
    },
    'form.created': ({ form }: { readonly form: Form }, event) => {
      const inSession = { ...event, data: { sessionID: form.sessionID } };
      return [this.#make(inSession, 'question.asked', toQuestionRequest(this.#memory, form))];
    },
    'form.replied': ({ id: requestID, sessionID, answer }: FormOutcome, event) => {
      const { fields = [] } = this.#memory.asks.get(requestID) ?? {};
      this.#memory.asks.delete(requestID);
      const answers = fromFormAnswer(fields, answer ?? {});
      return [this.#make(event, 'question.replied', { sessionID, requestID, answers })];
    },
    'form.cancelled': ({ id: requestID, sessionID }: FormOutcome, event) => {
      this.#memory.asks.delete(requestID);
      return [this.#make(event, 'question.rejected', { sessionID, requestID })];
    },
  };

  #learn(data: CreatedData, event: TimedEvent): SessionInfo {
    const { sessionID, parentID, projectID = '', slug = '', version = '', title = '', agent, model } = data;
    const { created } = event;
    const known = this.#memory.sessions.get(sessionID);
    const info: SessionInfo = {
      ...known,
      id: sessionID,
      slug,
      projectID,
      directory: data.location?.directory ?? event.location?.directory ?? '',
      title: known?.title ?? title,
      version,
      time: known?.time ?? { created, updated: created },
      ...(parentID !== undefined && { parentID }),
      ...(agent !== undefined && { agent }),
      ...(model !== undefined && { model: { ...model } }),
    };
    this.#memory.sessions.set(sessionID, info);
    return info;
  }

  #ended({ sessionID }: SessionData, event: TimedEvent): OpenCodeEvent[] {
    return [
      ...this.#withdrawn(sessionID, event),
      this.#make(event, 'session.status', { sessionID, status: { type: 'idle' } }),
      this.#make(event, 'session.idle', { sessionID }),
    ];
  }

  /** What a session asked and nobody answered: an execution takes it back at its end, and no event says so. */
  #withdrawn(sessionID: string, event: TimedEvent): OpenCodeEvent[] {
    const events: OpenCodeEvent[] = [];
    for (const [requestID, ask] of [...this.#memory.asks.entries()]) {
      if (ask.sessionID !== sessionID) continue;
      this.#memory.asks.delete(requestID);
      events.push(
        ask.fields === undefined
          ? this.#make(event, 'permission.replied', { sessionID, requestID, reply: 'reject' })
          : this.#make(event, 'question.rejected', { sessionID, requestID }),
      );
    }
    return events;
  }

  #delivered(sessionID: string, inboxID: string, event: TimedEvent): OpenCodeEvent[] {
    const { prompts, undelivered } = this.#memory;
    if (undelivered.get(sessionID) === inboxID) undelivered.delete(sessionID);
    const entry = this.#prompts.get(inboxID);
    this.#prompts.delete(inboxID);
    // What is delivered without a prompt of its own, e.g. a compaction, begins no turn.
    if (entry === undefined) return [];
    prompts.set(sessionID, inboxID);
    const { info, parts } = toUserMessage(sessionID, entry);
    return [
      this.#make(event, 'message.updated', { sessionID, info }),
      ...parts.map((part) => this.#part(sessionID, part, event)),
    ];
  }

  #part(sessionID: string, part: Part, event: TimedEvent): OpenCodeEvent {
    return this.#make(event, 'message.part.updated', { sessionID, part, time: event.created });
  }

  /** A step, also one whose begin was missed. */
  #step({ assistantMessageID: id }: StepData, { created }: TimedEvent): StepEntry {
    const model = { id: '', providerID: '' };
    return this.#steps.get(id) ?? { id, type: 'assistant', time: { created }, agent: '', model, content: [] };
  }

  #info(sessionID: string, entry: StepEntry, event: TimedEvent): OpenCodeEvent {
    const session = { id: sessionID, directory: this.#directoryOf(event) ?? '' };
    const parentID = this.#memory.prompts.get(sessionID) ?? '';
    const info = toAssistantInfo(session, entry, parentID);
    return this.#make(event, 'message.updated', { sessionID, info });
  }

  #stepEnded(data: StepData & StepEnd, event: TimedEvent): OpenCodeEvent[] {
    const { sessionID, assistantMessageID: id, finish, cost, tokens, error } = data;
    const begun = this.#step(data, event);
    const entry: StepEntry = {
      ...begun,
      time: { ...begun.time, completed: event.created },
      ...(finish !== undefined && { finish }),
      ...(cost !== undefined && { cost }),
      ...(tokens !== undefined && { tokens }),
      ...(error !== undefined && { error }),
    };
    this.#steps.delete(id);
    const end = toStepFinish(sessionID, entry);
    return [
      ...(end === undefined ? [] : [this.#part(sessionID, end, event)]),
      this.#info(sessionID, entry, event),
    ];
  }

  #text(data: TextData, event: TimedEvent, type: 'text' | 'reasoning', text: string): OpenCodeEvent {
    const { sessionID, ordinal } = data;
    const entry = this.#step(data, event);
    return this.#part(sessionID, toTextPart(sessionID, entry, { type, text }, ordinal), event);
  }

  #delta(data: TextData, event: TimedEvent, type: 'text' | 'reasoning'): OpenCodeEvent {
    const { sessionID, assistantMessageID: messageID, ordinal, delta = '' } = data;
    const properties = {
      sessionID,
      messageID,
      partID: partID(messageID, type, ordinal),
      field: 'text',
      delta,
    };
    return this.#make(event, 'message.part.delta', properties);
  }

  #tool(data: ToolData, event: TimedEvent, state: StepToolState): OpenCodeEvent[] {
    const { id, name, sessionID, assistantMessageID: messageID } = data;
    const { created: now } = event;
    const before = this.#toolOf(data);
    const isOver = state.status === 'completed' || state.status === 'error';
    const tool: StepTool = {
      type: 'tool',
      id,
      name: before?.name ?? name ?? '',
      state,
      time: {
        created: before?.time.created ?? now,
        ...(state.status !== 'streaming' && { ran: before?.time.ran ?? now }),
        ...(isOver && { completed: now }),
      },
    };
    const step = this.#steps.get(messageID);
    if (step !== undefined) {
      const content = [...step.content.filter((each) => each !== before), tool];
      this.#steps.set(messageID, { ...step, content });
    }
    return [this.#part(sessionID, toToolPart(sessionID, messageID, tool), event)];
  }

  /** The call that an event is of, as far as it was seen. */
  #toolOf({ assistantMessageID, id }: ToolData): StepTool | undefined {
    const content = this.#steps.get(assistantMessageID)?.content ?? [];
    return content.find((each): each is StepTool => each.type === 'tool' && each.id === id);
  }

  /** The input of a call whose begin was seen. */
  #inputOf(data: ToolData): Record<string, unknown> {
    const input = data.input ?? this.#toolOf(data)?.state.input;
    return typeof input === 'object' ? input : {};
  }
}

/** The types that mean something else in OpenCode 1.18: only their translation is published. */
const REPLACED: ReadonlySet<string> = new Set([
  'server.connected',
  'location.shutdown',
  'session.created',
  'session.deleted',
  'permission.asked',
  'permission.replied',
]);

function unknownSession(id: string, directory = ''): SessionInfo {
  return { id, slug: '', projectID: '', directory, title: '', version: '', time: { created: 0, updated: 0 } };
}
