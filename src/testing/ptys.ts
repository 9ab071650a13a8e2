import type { CreatePtyInput, Pty, UpdatePtyInput } from '../client/schema/pty.js';
import type { EventBus, Place } from './event-bus.js';
import type { Ids } from './ids.js';

const SHELLS = /(^|\/)(ba|z|da|k|fi)?sh$/;

/** The terminals of one instance: nothing runs in them, and they stay until somebody ends them. */
export class Ptys {
  readonly #place: Place;
  readonly #events: EventBus;
  readonly #ids: Ids;
  readonly #byID = new Map<string, Pty>();
  #made = 0;

  constructor(place: Place, events: EventBus, ids: Ids) {
    this.#place = place;
    this.#events = events;
    this.#ids = ids;
  }

  list(): Pty[] {
    return [...this.#byID.values()];
  }

  get(ptyID: string): Pty | undefined {
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
      cwd: cwd ?? this.#place.directory,
      status: 'running',
      pid: 1000 + this.#made,
    };
    this.#byID.set(id, pty);
    this.#events.emit(this.#place, 'pty.created', { info: pty });
    return pty;
  }

  update(pty: Pty, { title }: UpdatePtyInput): Pty {
    if (title !== undefined) pty.title = title;
    this.#events.emit(this.#place, 'pty.updated', { info: pty });
    return pty;
  }

  remove(pty: Pty): void {
    this.#byID.delete(pty.id);
    this.#events.emit(this.#place, 'pty.deleted', { id: pty.id });
  }

  /** The instance is gone: its terminals with it, and nobody is told. */
  clear(): void {
    this.#byID.clear();
  }
}
