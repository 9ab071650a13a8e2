import type { Clock } from '../core/clock.js';
import type { Command } from '../client/schema/commands.js';
import { Turns, type MockShell } from './model/turns.js';
import { Scripts, type MockScript } from './script/script.js';
import type { Catalog } from './state/catalog.js';
import { EventBus } from './state/event-bus.js';
import { Ids } from './state/ids.js';
import { Instances } from './state/instances.js';
import { SessionHistory } from './state/session-history.js';
import { SessionStore } from './state/session-store.js';
import type { MockTerminalProgram } from './state/terminal.js';

/** How the server presents itself, and what a test has scripted. */
export interface ScriptedServerInit {
  readonly version: string;
  /** The directory of requests that name none. */
  readonly cwd: string;
  readonly clock: Clock;
  readonly projectOf: (directory: string) => string;
  /** How the model answers until another script is set. */
  readonly script: MockScript;
  /** The permissions that every tool asks for. */
  readonly asks: readonly string[];
  readonly catalog: Catalog;
  readonly commands: readonly Command[];
  readonly shell: MockShell;
  readonly terminal: MockTerminalProgram;
}

/** OpenCode in memory: the state behind the routes, and the turns that change it. */
export class ScriptedServer {
  readonly version: string;
  readonly cwd: string;
  readonly events: EventBus;
  readonly instances: Instances;
  readonly sessions: SessionStore;
  readonly history: SessionHistory;
  readonly turns: Turns;
  readonly scripts: Scripts;
  readonly catalog: Catalog;
  readonly commands: readonly Command[];
  readonly #closed = new AbortController();

  constructor(init: ScriptedServerInit) {
    const { clock, projectOf, terminal, version, catalog, shell } = init;
    const ids = new Ids();
    const events = new EventBus(ids, clock);
    const scripts = new Scripts(init.script);
    const sessions = new SessionStore(ids, events, clock, version);
    const history = new SessionHistory(ids, events, sessions);
    const rules = init.asks.map((permission) => ({ permission, pattern: '*', action: 'ask' as const }));
    this.version = version;
    this.cwd = init.cwd;
    this.events = events;
    this.instances = new Instances({ events, ids, clock, projectOf, terminal, closed: this.#closed.signal });
    this.sessions = sessions;
    this.history = history;
    this.turns = new Turns({ ids, events, clock, sessions, history, scripts, catalog, rules, shell });
    this.scripts = scripts;
    this.catalog = catalog;
    this.commands = init.commands;
  }

  /** Ends everything at once, like a process that is killed; what is stored stays. */
  crash(): void {
    this.events.close();
    this.instances.crash();
  }

  close(): void {
    this.#closed.abort();
    this.crash();
  }
}
