import type { JarvisOpenCode, RepoClient, Session, Turn } from 'jarvis-opencode';
import { check } from './check.js';
import { printable, type Row, type Screen } from './screen.js';
import type { Question, Role, Stage } from './stage.js';

/** One repository in the story: its session, what it answers, and the events it gets. */
export class Actor {
  readonly name: string;
  readonly repo: RepoClient;
  readonly #role: Role;
  readonly #jarvis: JarvisOpenCode;
  readonly #screen: Screen;
  readonly #story: AbortController;
  #answering: Promise<void> = Promise.resolve();
  #answer = '';
  /** When the first word of the first answer came, and when its last one did. */
  #streamed: { readonly from: number; to: number } | undefined;
  #answers = 0;
  readonly #events = { own: 0, others: 0 };

  /** @param story - aborted with the reason when a turn fails; its signal ends whatever the actor does. */
  constructor(jarvis: JarvisOpenCode, role: Role, screen: Screen, story: AbortController) {
    this.name = role.name;
    this.repo = jarvis.forRepo(role.directory);
    this.#role = role;
    this.#jarvis = jarvis;
    this.#screen = screen;
    this.#story = story;
  }

  /** The session, found by the host application's own name for the conversation. */
  get session(): Session {
    return this.#jarvis.forSession(this.#conversation);
  }

  get #conversation(): string {
    return `about ${this.name}`;
  }

  /** Whether the question asked last is answered. */
  get isAnswered(): boolean {
    return this.#answers > 0;
  }

  row(): Row {
    const { state, idleDeadline } = this.repo.stats();
    return { repo: this.name, state, idleDeadline, answer: this.#answer };
  }

  /** Creates the session and asks the first question. */
  async begin(stage: Stage): Promise<void> {
    const { signal } = this.#story;
    this.#count().catch((error: unknown) => this.#story.abort(error));
    const options = { jarvisSessionID: this.#conversation, signal };
    const { directory } = await this.repo.sessions.create(stage.session, options);
    this.#screen.say(`${this.name}: has a session in ${directory}`);
    this.ask(this.#role);
  }

  /** Asks a question; {@link answered} waits for the answer. */
  ask({ prompt, expected }: Question): void {
    const turn = this.session.stream(prompt, { signal: this.#story.signal });
    this.#answering = this.#follow(turn, expected);
    this.#answering.catch((error: unknown) => this.#story.abort(error));
  }

  /** Resolves when the question asked last is answered. */
  answered(): Promise<void> {
    return this.#answering;
  }

  /** Whether both actors were streaming their first answer at one moment. */
  isStreamedWith(other: Actor): boolean {
    const [a, b] = [this.#streamed, other.#streamed];
    return a !== undefined && b !== undefined && a.from < b.to && b.from < a.to;
  }

  /** What was seen of this repository, for the end of the story. */
  proof(): string {
    const { boots, disposals } = this.repo.stats();
    check(this.#events.own > 0, `${this.name} got no events`);
    check(this.#events.others === 0, `${this.name} got ${this.#events.others} events of another repository`);
    return (
      `${this.name}: ${count(boots, 'boot')}, ${count(disposals.idle, 'disposal')} for being idle, ` +
      `${count(this.#answers, 'answer')}, ${this.#events.own} events of its own and none of another repository`
    );
  }

  /** Deletes the session, and aborts what it is doing. */
  async leave(): Promise<void> {
    if (this.#jarvis.sessions.get(this.#conversation) === undefined) return;
    await this.session.delete({ timeoutMs: 5_000 });
    this.#screen.say(`${this.name}: the session is deleted`);
  }

  async #follow(turn: Turn, expected: string | undefined): Promise<void> {
    this.#answer = '';
    for await (const step of turn) {
      if (step.type === 'text') this.#hear(step.delta);
      if (step.type === 'tool' && step.status === 'completed')
        this.#screen.say(`${this.name}: used the tool ${step.tool}`);
    }
    const { text, message } = await turn.result;
    this.#answers += 1;
    const line = printable(text);
    const short = line.length > 100 ? `${line.slice(0, 100)}…` : line;
    this.#screen.say(`${this.name}: answered “${short}”`);
    const ranIn = message.path.cwd;
    check(ranIn === this.repo.directory, `the turn of ${this.name} ran in ${ranIn}`);
    if (expected !== undefined)
      check(text.includes(expected), `${this.name} did not answer ${JSON.stringify(expected)}`);
  }

  #hear(delta: string): void {
    const now = performance.now();
    if (this.#streamed === undefined) this.#screen.say(`${this.name}: is answering`);
    this.#answer += delta;
    if (this.isAnswered) return;
    this.#streamed ??= { from: now, to: now };
    this.#streamed.to = now;
  }

  /** Events are routed by directory: none of another repository may arrive here. */
  async #count(): Promise<void> {
    for await (const { directory } of this.repo.events({ signal: this.#story.signal })) {
      if (directory === this.repo.directory) this.#events.own += 1;
      else if (directory !== undefined) this.#events.others += 1;
    }
  }
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? '' : 's'}`;
}
