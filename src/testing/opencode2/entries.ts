import type { Frame } from './frames.js';

/** An entry of a session's history: a prompt, a step of the model, the end of an execution, … */
export interface Entry {
  readonly id: string;
  readonly type: string;
  readonly time: Readonly<Record<string, number>>;
  readonly [key: string]: unknown;
}

interface ToolContent {
  readonly type: 'tool';
  readonly id: string;
  readonly name: string;
  executed?: boolean;
  state: Readonly<Record<string, unknown>>;
  readonly time: { readonly created: number; ran?: number; completed?: number };
}

type Content =
  | { readonly type: 'text'; text: string }
  | {
      readonly type: 'reasoning';
      text: string;
      state: unknown;
      time: { created: number; completed?: number };
    }
  | ToolContent;

/** A step of the model. */
export interface StepEntry extends Entry {
  time: { created: number; streamed?: number; completed?: number };
  readonly content: Content[];
  snapshot: Readonly<Record<string, unknown>>;
  finish?: string;
  [key: string]: unknown;
}

/** How an execution ended, as the session shows it. */
export interface Outcome {
  readonly outcome: 'succeeded' | 'failed' | 'interrupted';
  /** Epoch milliseconds. */
  readonly idle: number;
}

/** The histories of the sessions, made of the events that are sent. What only a delta has is not stored. */
export class Entries {
  readonly #bySession = new Map<string, Entry[]>();
  readonly #outcomes = new Map<string, Outcome>();

  /** The entries of a session, oldest first. */
  of(sessionID: string): readonly Entry[] {
    return this.#bySession.get(sessionID) ?? [];
  }

  /** How the last execution of a session ended; `undefined` when none ended, or its end is not stored. */
  outcomeOf(sessionID: string): Outcome | undefined {
    return this.#outcomes.get(sessionID);
  }

  add(sessionID: string, entry: Entry): void {
    this.#bySession.set(sessionID, [...this.of(sessionID), entry]);
  }

  /** Stores what an event says. */
  apply({ id, type, created, data }: Frame): void {
    const sessionID = String(data['sessionID']);
    const entryID = id.replace('evt_', 'msg_');
    switch (type) {
      case 'session.deleted':
        this.#bySession.delete(sessionID);
        return;
      case 'session.agent.selected':
      case 'session.model.selected': {
        const { sessionID: _, ...selected } = data;
        const kind = type === 'session.agent.selected' ? 'agent-switched' : 'model-switched';
        return this.add(sessionID, { id: entryID, time: { created }, type: kind, ...selected });
      }
      case 'session.execution.succeeded':
      case 'session.execution.failed':
      case 'session.execution.interrupted': {
        // OpenCode 2.0.14 stores no end of an execution that a bare reply of `reject` or a cancelled form has ended.
        if (data['reason'] === 'shutdown') return;
        const outcome = type.slice('session.execution.'.length) as Outcome['outcome'];
        this.#outcomes.set(sessionID, { outcome, idle: created });
        return this.add(sessionID, { id: entryID, time: { created }, type: 'idle', outcome });
      }
      case 'session.step.started':
        return this.#start(sessionID, data);
      default: {
        const step = this.#step(sessionID, data['assistantMessageID']);
        if (step !== undefined) applyToStep(step, type, created, data);
      }
    }
  }

  #start(sessionID: string, { assistantMessageID, agent, model, snapshot, started }: Frame['data']): void {
    const known = this.#step(sessionID, assistantMessageID);
    if (known !== undefined) {
      known.time = { created: started as number };
      return;
    }
    this.add(sessionID, {
      id: String(assistantMessageID),
      time: { created: started as number },
      type: 'assistant',
      agent,
      model,
      content: [],
      snapshot: { start: snapshot },
    } satisfies StepEntry);
  }

  #step(sessionID: string, messageID: unknown): StepEntry | undefined {
    return this.of(sessionID).find(({ id }) => id === messageID) as StepEntry | undefined;
  }
}

function applyToStep(step: StepEntry, type: Frame['type'], created: number, data: Frame['data']): void {
  switch (type) {
    case 'session.step.streamed':
      step.time.streamed = created;
      return;
    case 'session.step.ended':
    case 'session.step.failed': {
      const { sessionID: _, assistantMessageID: __, snapshot, files, ...end } = data;
      step.time.completed = created;
      step.snapshot = { ...step.snapshot, end: snapshot, files };
      Object.assign(step, end);
      if (type === 'session.step.failed') step.finish = 'error';
      return;
    }
    case 'session.retry.scheduled': {
      const { attempt, at, error } = data;
      step['retry'] = { attempt, at, error };
      return;
    }
    case 'session.text.started':
      step.content.push({ type: 'text', text: '' });
      return;
    case 'session.reasoning.started':
      step.content.push({ type: 'reasoning', text: '', state: data['state'], time: { created } });
      return;
    case 'session.text.ended':
    case 'session.reasoning.ended': {
      const kind = type === 'session.text.ended' ? 'text' : 'reasoning';
      const written = step.content.filter((content) => content.type === kind)[Number(data['ordinal'])];
      if (written === undefined || written.type === 'tool') return;
      written.text = String(data['text']);
      if (written.type === 'reasoning') written.time.completed = created;
      return;
    }
    default:
      applyToTool(step, type, created, data);
  }
}

function applyToTool(step: StepEntry, type: Frame['type'], created: number, data: Frame['data']): void {
  const { id, name, text, input, executed, content, metadata, error } = data;
  if (type === 'session.tool.input.started') {
    const state = { status: 'streaming', input: '' };
    step.content.push({ type: 'tool', id: String(id), name: String(name), state, time: { created } });
    return;
  }
  const tool = step.content.find((one): one is ToolContent => one.type === 'tool' && one.id === id);
  if (tool === undefined) return;
  if (typeof executed === 'boolean') tool.executed = executed;
  switch (type) {
    case 'session.tool.input.ended':
      tool.state = { status: 'streaming', input: text };
      return;
    case 'session.tool.called':
      tool.time.ran = created;
      tool.state = { status: 'running', input, metadata: {} };
      return;
    case 'session.tool.progress':
      tool.state = { ...tool.state, metadata };
      return;
    case 'session.tool.success':
      tool.time.completed = created;
      tool.state = { status: 'completed', input: tool.state['input'], content, metadata };
      return;
    case 'session.tool.failed': {
      tool.time.completed = created;
      const more = metadata === undefined ? {} : { metadata };
      tool.state = { status: 'error', input: tool.state['input'], error, ...more };
      return;
    }
  }
}
