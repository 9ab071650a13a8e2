import type { Clock } from '../core/clock.js';
import type { Command } from '../client/schema/commands.js';
import type { PermissionRule } from '../client/schema/session.js';
import { Turns, type MockShell, type TurnsInit } from './model/turns.js';
import { Scripts, type MockScript } from './script/script.js';
import type { Catalog } from './state/catalog.js';
import type { ToolDialect } from './model/tool-dialect.js';
import { EventBus } from './state/event-bus.js';
import { Ids } from './state/ids.js';
import { Instances } from './state/instances.js';
import type { ServerEvents } from './state/server-events.js';
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
  /** @default OpenCode 1.x */
  readonly dialect?: MockDialect | undefined;
}

/** What another major of OpenCode does in its own way. */
export interface MockDialect extends Pick<TurnsInit, 'startSubtask' | 'isSteered'> {
  readonly tools: ToolDialect;
  readonly events: (ids: Ids, clock: Clock) => ServerEvents;
  readonly savedRules: (projectID: string) => PermissionRule[];
}

/** OpenCode in memory: the state behind the routes, and the turns that change it. */
export class ScriptedServer {
  readonly version: string;
  readonly cwd: string;
  readonly events: ServerEvents;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly instances: Instances;
  readonly sessions: SessionStore;
  readonly history: SessionHistory;
  readonly turns: Turns;
  readonly scripts: Scripts;
  readonly catalog: Catalog;
  readonly commands: readonly Command[];
  readonly projectOf: (directory: string) => string;
  readonly #closed = new AbortController();

  constructor(init: ScriptedServerInit) {
    const { clock, projectOf, terminal, version, catalog, shell, dialect } = init;
    const ids = new Ids();
    const events = dialect?.events(ids, clock) ?? new EventBus(ids, clock);
    const scripts = new Scripts(init.script);
    const sessions = new SessionStore(ids, events, clock, version);
    const history = new SessionHistory(ids, events, sessions);
    const rules = init.asks.map((name) => ({
      permission: dialect?.tools.nameOf(name) ?? name,
      pattern: '*',
      action: 'ask' as const,
    }));
    this.version = version;
    this.cwd = init.cwd;
    this.events = events;
    this.ids = ids;
    this.clock = clock;
    const closed = this.#closed.signal;
    const { savedRules } = dialect ?? {};
    this.instances = new Instances({ events, ids, clock, projectOf, savedRules, terminal, closed });
    this.sessions = sessions;
    this.history = history;
    const state = { ids, events, clock, sessions, history };
    const { tools, startSubtask, isSteered } = dialect ?? {};
    this.turns = new Turns({
      ...state,
      scripts,
      catalog,
      rules,
      shell,
      tools,
      startSubtask,
      isSteered,
    });
    this.scripts = scripts;
    this.catalog = catalog;
    this.commands = init.commands;
    this.projectOf = projectOf;
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
