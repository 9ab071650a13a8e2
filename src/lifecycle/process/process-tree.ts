import { randomUUID } from 'node:crypto';
import {
  findProcess,
  hasProcessTable,
  processesWithEnv,
  processTable,
  type ProcessEntry,
} from './process-table.js';
import { taskkill } from './taskkill.js';

/** The variable that every process of a server inherits, with a value of this start's own. */
const MARKER_VARIABLE = 'JARVIS_OPENCODE_SERVER';

/** The name and a new value of what marks the processes of one server; no secret. */
export function newMarker(): { readonly name: string; readonly value: string; readonly text: string } {
  const value = randomUUID();
  return { name: MARKER_VARIABLE, value, text: markerText(value) };
}

/** How a marker looks in an environment. */
export function markerText(value: string): string {
  return `${MARKER_VARIABLE}=${value}`;
}

/**
 * A server process and all it started: its process group, its descendants wherever they went (running tools have groups of
 * their own, which no signal to the server's group reaches) and, on Linux, what carries its marker in the environment. What a
 * scan has found is remembered, by pid and start time, until it ends.
 */
export class ProcessTree {
  /** The server itself; `undefined` when it is gone, and where there is no process table. */
  readonly leader: ProcessEntry | undefined;
  readonly #pid: number | undefined;
  readonly #markerText: string;
  #seen: readonly ProcessEntry[] = [];

  /** @param pid - of the server, which leads a process group; `undefined` when only the marker is known. */
  constructor(pid: number | undefined, markerValue: string) {
    this.#pid = pid;
    this.#markerText = markerText(markerValue);
    this.leader = pid === undefined ? undefined : findProcess(pid);
  }

  /**
   * Finds the processes of the tree that run. Synchronous, so that it also works while this process exits; empty where there is
   * no process table.
   */
  scan(): readonly ProcessEntry[] {
    const table = processTable();
    const startTimes = new Map(table.map((entry) => [entry.pid, entry.startTime]));
    const members = new Set(
      this.#seen.filter((entry) => startTimes.get(entry.pid) === entry.startTime).map((entry) => entry.pid),
    );
    for (const marked of processesWithEnv(this.#markerText)) members.add(marked.pid);
    const pid = this.#ownPid((own) => startTimes.get(own));
    if (pid !== undefined) members.add(pid);
    for (let size = -1; size < members.size;) {
      size = members.size;
      for (const entry of table) {
        if (members.has(entry.parent) || entry.group === pid) members.add(entry.pid);
      }
    }
    this.#seen = table.filter((entry) => members.has(entry.pid) && entry.pid !== process.pid);
    return this.#seen;
  }

  /** Sends SIGTERM to the server's process group. On Windows, which has no such signal, kills the tree. */
  terminate(): void {
    if (process.platform === 'win32') this.#taskkill();
    else this.#signalGroup('SIGTERM');
  }

  /** Kills every process of the tree; `false` when none was left. */
  kill(): boolean {
    if (process.platform === 'win32') {
      this.#taskkill();
      return false;
    }
    const living = this.scan();
    const isGroupLeft = this.#signalGroup('SIGKILL');
    for (const { pid } of living) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    return hasProcessTable() ? living.length > 0 : isGroupLeft;
  }

  /** The pid of the server; `undefined` when a later process has it now. */
  #ownPid(startTimeOf: (pid: number) => string | undefined): number | undefined {
    if (this.#pid === undefined) return undefined;
    const startTime = startTimeOf(this.#pid);
    if (startTime === undefined) return this.#pid;
    const isOwn = this.leader === undefined ? !hasProcessTable() : startTime === this.leader.startTime;
    return isOwn ? this.#pid : undefined;
  }

  /** `false` when there is no such group. The id of a group is not used again while a member is left. */
  #signalGroup(signal: NodeJS.Signals): boolean {
    const pid = this.#ownPid((own) => findProcess(own)?.startTime);
    if (pid === undefined) return false;
    try {
      process.kill(-pid, signal);
      return true;
    } catch {
      return false;
    }
  }

  #taskkill(): void {
    if (this.#pid !== undefined) taskkill(this.#pid);
  }
}
