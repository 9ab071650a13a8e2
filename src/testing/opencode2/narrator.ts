import type { EventProperties, EventType } from '../../client/schema/event.js';
import type { MessageInfo, Part } from '../../client/schema/message.js';
import type { SessionInfo, SessionStatus } from '../../client/schema/session.js';
import type { Clock } from '../../core/clock.js';
import type { Ids } from '../state/ids.js';
import type { EventScope } from '../state/server-events.js';
import { overloaded } from './errors.js';
import type { Narrator, SendFrame } from './event-stream.js';
import { formID, type Forms } from './forms.js';
import { BOOT_EVENTS } from './frames.js';
import { createdData, titleOf } from './session-info.js';
import { StepNarrator, type StepEnd } from './step-narrator.js';
import type { Usage } from './usage.js';

/** What the narrator reads and writes. */
export interface NarratorInit {
  readonly ids: Ids;
  readonly clock: Clock;
  readonly forms: Forms;
  readonly usage: Usage;
  /** Called with the directory of each step that begins or ends: it is loaded again when it was evicted meanwhile. */
  readonly onStep: (directory: string) => void;
}

type Tellers = {
  readonly [T in EventType]?: (properties: EventProperties[T], scope: EventScope) => void;
};

/** Tells what happens in the state of the mock as events of OpenCode 2. */
export class OpenCode2Narrator implements Narrator {
  #isMute = false;
  readonly #init: NarratorInit;
  readonly #send: SendFrame;
  readonly #steps = new Map<string, StepNarrator>();
  /** The last step of each session. */
  readonly #current = new Map<string, StepNarrator>();
  /** The info of each step's message. */
  readonly #messages = new Map<string, MessageInfo>();
  /** The ids of the parts that are reasoning. */
  readonly #reasoning = new Set<string>();
  /** The sessions whose step waits until the provider is called again. */
  readonly #retrying = new Set<string>();
  /** The titles that were told. */
  readonly #titles = new Map<string, string | undefined>();
  /** The steps whose tools wait for the user, with the ids of the calls, by request. */
  readonly #asking = new Map<
    string,
    { readonly step: StepNarrator | undefined; readonly callID: string; readonly isShell: boolean }
  >();

  readonly #tellers: Tellers = {
    'session.created': ({ info }, { directory }) => {
      this.#titles.set(info.id, titleOf(info));
      this.#send(directory, 'session.created', createdData(info));
    },
    'session.updated': ({ info }, { directory }) => this.#rename(info, directory),
    'session.deleted': ({ sessionID }) => this.#send(undefined, 'session.deleted', { sessionID }),
    'session.status': ({ sessionID, status }) => this.#status(sessionID, status),
    'message.updated': ({ info }, { directory }) => this.#message(info, directory),
    'message.part.updated': ({ part }) => this.#part(part),
    'message.part.delta': ({ messageID, partID, delta }) => {
      const type = this.#reasoning.has(partID) ? 'reasoning' : 'text';
      this.#steps.get(messageID)?.delta(partID, type, delta);
    },
    'permission.asked': ({ id, sessionID, permission, patterns, always, tool }, { directory }) => {
      const source = tool && { type: 'tool', messageID: tool.messageID, id: tool.callID };
      const request = { id, sessionID, action: permission, resources: patterns, save: always, source };
      this.#ask(id, tool, () => this.#send(directory, 'permission.asked', request), permission === 'shell');
    },
    'permission.replied': ({ sessionID, requestID, reply }, { directory }) => {
      const asking = this.#asking.get(requestID);
      asking?.step?.streamed();
      this.#send(directory, 'permission.replied', { sessionID, requestID, reply });
      if (reply !== 'reject' && asking?.isShell === true) asking.step?.ran(asking.callID);
    },
    'question.asked': (request, { directory }) => {
      const form = this.#init.forms.create(request);
      this.#ask(request.id, request.tool, () => this.#send(directory, 'form.created', { form }));
    },
    'question.replied': ({ sessionID, requestID }, { directory }) => {
      this.#asking.get(requestID)?.step?.streamed();
      const id = formID(requestID);
      const state = this.#init.forms.get(id)?.state;
      const answer = state?.status === 'answered' ? state.answer : {};
      this.#send(directory, 'form.replied', { id, sessionID, answer });
    },
    'question.rejected': ({ sessionID, requestID }, { directory }) => {
      this.#asking.get(requestID)?.step?.streamed();
      const id = formID(requestID);
      this.#init.forms.settle(id);
      this.#send(directory, 'form.cancelled', { id, sessionID });
    },
    // The inner state sends it for each directory that it loads.
    'project.updated': ({ id, worktree, time }) => {
      const directory = String(worktree);
      this.#send(directory, 'project.updated', { id, canonical: directory, vcs: 'git', time, sandboxes: [] });
      for (const type of BOOT_EVENTS)
        this.#send(directory, type, type === 'vcs.branch.updated' ? { branch: 'main' } : {});
    },
  };
  constructor(init: NarratorInit, send: SendFrame) {
    this.#init = init;
    this.#send = send;
  }

  tell<T extends EventType>(scope: EventScope | undefined, type: T, properties: EventProperties[T]): void {
    if (scope !== undefined && !this.#isMute) this.#tellers[type]?.(properties, scope);
  }

  /** Changes a state without a word about it. */
  silently<T>(change: () => T): T {
    this.#isMute = true;
    try {
      return change();
    } finally {
      this.#isMute = false;
    }
  }

  /** How the last step of a session ended; `undefined` when it has not. */
  lastEnd(sessionID: string): StepEnd | undefined {
    return this.#current.get(sessionID)?.end;
  }

  /** Forgets the steps of a session, before another prompt is answered. */
  begin(sessionID: string): void {
    this.#current.delete(sessionID);
  }

  /** Tells that a session was named before its first step, by a call of the model that counts. */
  titled(sessionID: string): void {
    const { usage } = this.#init;
    usage.add(sessionID, 0, { input: 10, output: 5, reasoning: 0, cache: { read: 0, write: 0 } });
    this.#send(undefined, 'session.usage.updated', { sessionID, ...usage.of(sessionID) });
  }

  /** Forgets what is to be told, because the process has ended. */
  crash(): void {
    for (const step of this.#steps.values()) step.crash();
  }

  #rename(info: SessionInfo, directory: string): void {
    const title = titleOf(info);
    // A fork has its title from the start.
    const told = this.#titles.has(info.id) ? this.#titles.get(info.id) : title;
    this.#titles.set(info.id, title);
    if (title === undefined || told === title) return;
    this.#send(directory, 'session.renamed', { sessionID: info.id, title });
  }

  #message(info: MessageInfo, directory: string): void {
    if (info.role !== 'assistant') return;
    const { id, sessionID } = info;
    let step = this.#steps.get(id);
    if (step === undefined) {
      this.#init.onStep(directory);
      step = new StepNarrator(directory, info, this.#send, this.#init.ids);
      this.#steps.set(id, step);
      this.#current.set(sessionID, step);
      this.#messages.set(id, info);
    }
    if (info.time.completed === undefined || step.end !== undefined) return;
    const used = step.finish(info);
    this.#init.onStep(directory);
    if (used === undefined) return;
    const { usage } = this.#init;
    usage.add(sessionID, used.cost, used.tokens);
    this.#send(undefined, 'session.usage.updated', { sessionID, ...usage.of(sessionID) });
  }
  #part(part: Part): void {
    const step = this.#steps.get(part.messageID);
    if (step === undefined) return;
    if (part.type === 'reasoning') this.#reasoning.add(part.id);
    if (part.type === 'text' || part.type === 'reasoning') step.text(part);
    else if (part.type === 'tool') step.tool(part);
    else if (part.type === 'step-finish') step.streamed();
  }

  #status(sessionID: string, status: SessionStatus): void {
    const step = this.#current.get(sessionID);
    if (step === undefined) return;
    if (status.type === 'retry') {
      this.#retrying.add(sessionID);
      step.retry(status.attempt + 1, status.next, overloaded(status.message));
    } else if (status.type === 'busy' && this.#retrying.delete(sessionID)) {
      const info = this.#messages.get(step.messageID);
      if (info?.role === 'assistant') step.start(info, this.#init.clock.now());
    }
  }

  #ask(
    requestID: string,
    tool: { readonly messageID: string; readonly callID: string } | undefined,
    tell: () => void,
    isShell = false,
  ): void {
    const step = tool && this.#steps.get(tool.messageID);
    this.#asking.set(requestID, { step, callID: tool?.callID ?? '', isShell });
    if (step === undefined) tell();
    else step.afterAnswer(tell);
  }
}
