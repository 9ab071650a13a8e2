import type { CreatePtyInput, Pty, UpdatePtyInput } from '../../client/schema/pty.js';
import type { EventScope, ServerEvents } from './server-events.js';
import type { Ids } from './ids.js';
import { NORMAL_CLOSURE, Terminal, type MockTerminalProgram } from './terminal.js';

const SHELLS = /(^|\/)(ba|z|da|k|fi)?sh$/;

/** The terminals of one instance. Each runs the program of the test and stays until that exits or a client removes it. */
export class Ptys {
  readonly #scope: EventScope;
  readonly #events: ServerEvents;
  readonly #ids: Ids;
  readonly #program: MockTerminalProgram;
  readonly #byID = new Map<string, Terminal>();
  /** The id of the terminal, by its ticket. A ticket is valid once. */
  readonly #tickets = new Map<string, string>();
  #made = 0;

  constructor(scope: EventScope, events: ServerEvents, ids: Ids, program: MockTerminalProgram) {
    this.#scope = scope;
    this.#events = events;
    this.#ids = ids;
    this.#program = program;
  }

  list(): Pty[] {
    return [...this.#byID.values()].map(({ pty }) => pty);
  }

  get(ptyID: string): Pty | undefined {
    return this.terminal(ptyID)?.pty;
  }

  terminal(ptyID: string): Terminal | undefined {
    return this.#byID.get(ptyID);
  }

  create({ command = '/bin/bash', args = [], cwd, title }: CreatePtyInput): Pty {
    const id = this.#ids.next('pty');
    this.#made += 1;
    const pty: Pty = {
      id,
      title: title ?? `Terminal ${id.slice(-4)}`,
      command,
      args: SHELLS.test(command) ? [...args, '-l'] : args,
      cwd: cwd ?? this.#scope.directory,
      status: 'running',
      pid: 1000 + this.#made,
    };
    const terminal = new Terminal(pty, (exitCode) => {
      this.#end(id);
      this.#events.emit(this.#scope, 'pty.exited', { id, exitCode });
    });
    this.#byID.set(id, terminal);
    this.#events.emit(this.#scope, 'pty.created', { info: pty });
    terminal.start(this.#program);
    return pty;
  }

  update(pty: Pty, { title, size }: UpdatePtyInput): Pty {
    if (title !== undefined) pty.title = title;
    if (size !== undefined) this.#byID.get(pty.id)?.resize(size);
    this.#events.emit(this.#scope, 'pty.updated', { info: pty });
    return pty;
  }

  remove(pty: Pty): void {
    this.#end(pty.id);
    this.#events.emit(this.#scope, 'pty.deleted', { id: pty.id });
  }

  /** Makes a ticket for one connection to a terminal. */
  issueTicket(ptyID: string): string {
    const ticket = crypto.randomUUID();
    this.#tickets.set(ticket, ptyID);
    return ticket;
  }

  /** Uses a ticket up; `false` when it is not for this terminal or was used before. */
  takeTicket(ptyID: string, ticket: string): boolean {
    const isValid = this.#tickets.get(ticket) === ptyID;
    if (isValid) this.#tickets.delete(ticket);
    return isValid;
  }

  /** Ends all terminals without events, because the instance is unloaded. @param code - the close code of their connections. */
  clear(code = NORMAL_CLOSURE): void {
    for (const terminal of this.#byID.values()) terminal.end(code);
    this.#byID.clear();
    this.#tickets.clear();
  }

  #end(ptyID: string): void {
    this.#byID.get(ptyID)?.end(NORMAL_CLOSURE);
    this.#byID.delete(ptyID);
  }
}
