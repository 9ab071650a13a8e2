import type { SessionInfo } from '../../client/schema/session.js';
import { sleep } from '../sleep.js';
import { ScriptedServer, type ScriptedServerInit } from '../scripted-server.js';
import type { PermissionRule } from '../../client/schema/session.js';
import { OpenCode2Events } from './event-stream.js';
import { Executions } from './executions.js';
import { Forms } from './forms.js';
import { OpenCode2Narrator } from './narrator.js';
import { sessionOf, type SessionFacts } from './session-info.js';
import { OPENCODE_2_TOOLS } from './tools.js';
import { Usage } from './usage.js';

/** OpenCode 2 in memory: the state of the mock, its events in the shape of OpenCode 2, and what only OpenCode 2 has. */
export class OpenCode2 {
  readonly server: ScriptedServer;
  readonly events: OpenCode2Events;
  readonly executions: Executions;
  readonly forms = new Forms();
  readonly #usage = new Usage();
  readonly #facts = new Map<string, SessionFacts>();
  readonly #narrator: OpenCode2Narrator;
  #crashes = 0;
  /** The answers `always`, by project. */
  readonly #saved = new Map<string, PermissionRule[]>();

  constructor(init: Omit<ScriptedServerInit, 'dialect'>) {
    const { forms } = this;
    let events: OpenCode2Events | undefined;
    let narrator: OpenCode2Narrator | undefined;
    this.server = new ScriptedServer({
      ...init,
      dialect: {
        tools: OPENCODE_2_TOOLS,
        events: (ids, clock) => {
          events = new OpenCode2Events(ids, clock, (send) => {
            const onStep = (directory: string): void => void this.server.instances.use(directory);
            return (narrator = new OpenCode2Narrator(
              { ids, clock, forms, usage: this.#usage, onStep },
              send,
            ));
          });
          return events;
        },
        savedRules: (projectID) => this.savedRules(projectID),
        startSubtask: (_, child, prompt) => this.#delegate(child, prompt),
        isSteered: (sessionID) => this.executions.isSteered(sessionID),
      },
    });
    if (events === undefined || narrator === undefined) throw new Error('The state made no events.');
    this.events = events;
    this.#narrator = narrator;
    const { entries } = events;
    const factsOf = (sessionID: string): SessionFacts => this.factsOf(sessionID);
    this.executions = new Executions({ server: this.server, events, entries, narrator, factsOf });
  }

  /** How often the process has ended: a request of one that has gets no answer. */
  get crashes(): number {
    return this.#crashes;
  }

  /** What a session has that one of OpenCode 1.x has not. */
  factsOf(sessionID: string): SessionFacts {
    let facts = this.#facts.get(sessionID);
    if (facts === undefined) {
      facts = {};
      this.#facts.set(sessionID, facts);
    }
    return facts;
  }

  /** A session as it is shown. */
  show(info: SessionInfo): Record<string, unknown> {
    return sessionOf(info, this.factsOf(info.id), this.events.entries, this.#usage);
  }

  /** The rules of the answers `always` in a project. */
  savedRules(projectID: string): PermissionRule[] {
    const rules = this.#saved.get(projectID) ?? [];
    this.#saved.set(projectID, rules);
    return rules;
  }

  /** Unloads a location, whatever runs in it: a running execution goes on and loads it again. */
  async evict(directory: string): Promise<void> {
    const { instances, clock } = this.server;
    const instance = instances.find(directory);
    if (instance?.loaded !== true) return;
    const { boots } = instance;
    if (instances.disposalMs > 0) await sleep(clock, instances.disposalMs);
    // The process may have crashed meanwhile.
    if (!instance.loaded || instance.boots !== boots) return;
    instance.asks.cancelAll();
    instance.unload();
    instance.disposals += 1;
    this.events.send(directory, 'location.shutdown', {});
  }

  /** Copies a session with its messages before one; all of them without one. The caller tells the event. */
  fork(session: SessionInfo, before: string | undefined): SessionInfo {
    return this.#narrator.silently(() => this.server.history.fork(session, session, before));
  }

  /** Ends a session and what works in it; resolves when its last event is sent. */
  async remove(session: SessionInfo): Promise<void> {
    const { executions, server } = this;
    executions.interrupt(session.id);
    await executions.wait(session.id);
    if (server.sessions.find(session.id) !== undefined)
      server.sessions.remove({ directory: session.directory, projectID: session.projectID }, session.id);
  }

  /** Ends everything at once, like a process that is killed; what is stored stays. */
  crash(): void {
    this.#crashes += 1;
    this.executions.crash();
    this.#narrator.crash();
    this.forms.crash();
    this.server.crash();
  }

  close(): void {
    this.executions.crash();
    this.#narrator.crash();
    this.server.close();
  }

  #delegate(child: SessionInfo, prompt: string): ReturnType<Executions['delegate']> {
    this.factsOf(child.id).agent = child.agent ?? 'general';
    return this.executions.delegate(child, prompt);
  }
}
