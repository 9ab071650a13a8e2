/** Something that a disposal of its instance would cut off. */
export interface SimulatedWork {
  readonly kind: 'turn' | 'pty';
  readonly id: string;
  /** When it began, in the server's own count. */
  readonly begunAt: number;
  /** In which step of the test it began. */
  readonly begunIn: number;
  /** Since which step of the test its clients have been told; never when none was listening. */
  readonly toldAt: number;
}

/** How an instance ends, and who wanted it. */
export interface SimulatedDisposal {
  /** Whether the client under test sent the call. */
  byUs: boolean;
  /** What it cuts off. Whatever begins later is taken over by the next instance. */
  readonly cutOff: readonly SimulatedWork[];
}

/** What the server has loaded for one directory. */
export class SimulatedInstance {
  readonly directory: string;
  readonly work = new Map<string, SimulatedWork>();
  /** When each kind of work was last asked for, in the server's own count and in epoch milliseconds. */
  readonly askedAt: Record<SimulatedWork['kind'], { readonly count: number; readonly time: number }> = {
    turn: { count: -1, time: 0 },
    pty: { count: -1, time: 0 },
  };
  /** Whether a client that listens can know that it is loaded. */
  isKnown: boolean;
  disposal: SimulatedDisposal | undefined;

  constructor(directory: string, isKnown: boolean) {
    this.directory = directory;
    this.isKnown = isKnown;
  }

  /** The work that a careful client knows of in this step: it was told of it in an earlier one, or has asked since. */
  knownWork(step: number): SimulatedWork[] {
    return [...this.work.values()].filter(
      ({ kind, begunAt, toldAt }) => toldAt < step || begunAt <= this.askedAt[kind].count,
    );
  }

  /** Terminals that nobody was told of: a careful client asks for them. */
  untoldTerminals(step: number): SimulatedWork[] {
    return [...this.work.values()].filter(
      ({ kind, begunIn, toldAt }) => kind === 'pty' && toldAt === Number.POSITIVE_INFINITY && begunIn < step,
    );
  }
}
