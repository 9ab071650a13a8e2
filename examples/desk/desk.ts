import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import type {
  AskOutcome,
  InstanceDecision,
  JarvisOpenCode,
  PermissionAsk,
  QuestionAsk,
  Turn,
} from 'jarvis-opencode';
import type { DeskState, Sample } from './page/state.js';
import type { DeskStage } from './stage.js';

const SAMPLE_MS = 500;
const MAX_SAMPLES = 240;
const MAX_DECISIONS = 30;
/** How many exchanges of a conversation a page is shown. */
const MAX_EXCHANGES = 20;

/** One prompt and what was answered. */
interface Exchange {
  readonly prompt: string;
  text: string;
}

/** One conversation of the host with an agent. */
interface Conversation {
  readonly repo: string;
  readonly title: string;
  readonly exchanges: Exchange[];
  /** What runs now. */
  turn: Turn | undefined;
  /** Counts the turns, so that a page sees that another one runs. */
  turns: number;
  readonly asks: Map<string, PermissionAsk | QuestionAsk>;
}

/** What the page shows and does: conversations in many repositories, leases, and what the instances did. */
export class Desk implements Disposable {
  readonly jarvis: JarvisOpenCode;
  readonly #stage: DeskStage;
  readonly #conversations = new Map<string, Conversation>();
  readonly #leases = new Map<string, Disposable>();
  readonly #decisions: { readonly at: number; readonly repo: string; readonly text: string }[] = [];
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #onDecision = (message: unknown): void => this.#note(message as InstanceDecision);
  isPlaying = true;

  constructor(jarvis: JarvisOpenCode, stage: DeskStage) {
    this.jarvis = jarvis;
    this.#stage = stage;
    subscribe('jarvis-opencode:instance', this.#onDecision);
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#sample();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    unsubscribe('jarvis-opencode:instance', this.#onDecision);
  }

  /** The names of the repositories. */
  get repos(): readonly string[] {
    return [...this.#stage.repos.keys()];
  }

  /** Whether a conversation waits for its agent. */
  isBusy(key: string): boolean {
    return this.#conversations.get(key)?.turn !== undefined;
  }

  /** The turn that a conversation runs; `undefined` when it runs none. */
  turnOf(key: string): Turn | undefined {
    return this.#conversations.get(key)?.turn;
  }

  /** Sends a prompt in a conversation, which it begins if need be. Resolves when the turn has begun. */
  async prompt(repo: string, title: string, text: string): Promise<void> {
    const key = `${repo}/${title}`;
    const session = await this.#client(repo).sessions.open(key, { title });
    const conversation = this.#conversations.get(key) ?? {
      ...{ repo, title, exchanges: [], turn: undefined, turns: 0 },
      asks: new Map<string, PermissionAsk | QuestionAsk>(),
    };
    this.#conversations.set(key, conversation);
    const exchange: Exchange = { prompt: text, text: '' };
    conversation.exchanges.push(exchange);
    conversation.exchanges.splice(0, conversation.exchanges.length - MAX_EXCHANGES);
    const turn = session.stream(text);
    conversation.turn = turn;
    conversation.turns += 1;
    void this.#follow(conversation, turn, exchange);
  }

  /**
   * Answers a permission request or a question of a conversation; texts are the answers to a question.
   *
   * @returns `gone` when nobody waits for it any more.
   */
  async answer(
    key: string,
    id: string,
    decision: 'allow' | 'always' | 'deny' | readonly string[][],
  ): Promise<AskOutcome> {
    const asks = this.#conversations.get(key)?.asks;
    const ask = asks?.get(id);
    if (ask === undefined) return 'gone';
    asks?.delete(id);
    if (typeof decision !== 'string') return ask.type === 'question' ? ask.answer(decision) : 'gone';
    if (decision === 'deny') return ask.deny();
    if (ask.type === 'question') return 'gone';
    return decision === 'always' ? ask.always() : ask.allow();
  }

  /** Holds the instance of a repository, or gives the hold back. */
  toggleHold(repo: string): void {
    const lease = this.#leases.get(repo);
    lease?.[Symbol.dispose]();
    if (lease !== undefined) this.#leases.delete(repo);
    else this.#leases.set(repo, this.#client(repo).hold('a tab of the desk'));
  }

  /** @throws {DisposeRefusedError} while something holds it. */
  async dispose(repo: string): Promise<void> {
    await this.#client(repo).dispose();
  }

  /** Kills the server, as the kernel does when memory runs out. */
  crash(): void {
    const { pid } = this.jarvis.server;
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }

  /** All that the page shows, but the text of turns. */
  state(): DeskState {
    const { server } = this.jarvis;
    const known = new Map(this.jarvis.repos().map((repo) => [repo.directory, repo]));
    return {
      now: Date.now(),
      isPlaying: this.isPlaying,
      server: { state: server.state, version: server.version, pid: server.pid, url: server.url },
      idleTimeoutMs: this.#stage.idleTimeoutMs,
      repos: this.repos.map((name) => {
        const { directory } = this.#client(name);
        const repo = known.get(directory);
        return {
          name,
          directory,
          state: repo?.state ?? 'unloaded',
          isLoaded: repo?.loaded ?? false,
          isHeld: this.#leases.has(name),
          holds: (repo?.holds ?? []).map(({ kind, detail, since }) => ({ kind, detail, since })),
          idleDeadline: repo?.idleDeadline,
          children: repo?.processes?.count ?? 0,
          childrenBytes: repo?.processes?.rssBytes ?? 0,
          boots: repo?.boots ?? 0,
        };
      }),
      conversations: [...this.#conversations].map(([key, { repo, title, turn, turns, exchanges, asks }]) => ({
        ...{ key, repo, title, turns, isBusy: turn !== undefined },
        exchanges: exchanges.map(({ prompt, text }) => ({ prompt, text })),
        asks: [...asks.values()].map((ask) =>
          ask.type === 'permission'
            ? {
                type: ask.type,
                id: ask.request.id,
                what: ask.request.permission,
                patterns: ask.request.patterns,
              }
            : { type: ask.type, id: ask.request.id, questions: ask.request.questions },
        ),
      })),
      decisions: this.#decisions,
      samples: this.#samples,
    };
  }

  #client(repo: string): ReturnType<JarvisOpenCode['forRepo']> {
    const directory = this.#stage.repos.get(repo);
    if (directory === undefined) throw new RangeError('The desk has no such repository.');
    return this.jarvis.forRepo(directory);
  }

  /** Keeps what a turn says, and what it asks for until it is answered. */
  async #follow(conversation: Conversation, turn: Turn, exchange: Exchange): Promise<void> {
    try {
      for await (const step of turn) {
        if (step.type === 'text') exchange.text += step.delta;
        if (step.type === 'permission' || step.type === 'question') {
          conversation.asks.set(step.request.id, step);
          this.#answerLater(conversation, step);
        }
      }
      await turn.result;
    } catch (error) {
      exchange.text += `\n[${error instanceof Error ? error.message : String(error)}]`;
    } finally {
      conversation.asks.clear();
      if (conversation.turn === turn) conversation.turn = undefined;
    }
  }

  /** Lets the script answer what nobody has answered, so that it goes on. */
  #answerLater({ repo, title }: Conversation, ask: PermissionAsk | QuestionAsk): void {
    const { answerAfterMs } = this.#stage;
    if (answerAfterMs === undefined) return;
    const decision = ask.type === 'permission' ? 'allow' : ask.request.questions.map(() => ['Blue']);
    const answer = (): void => {
      if (this.isPlaying)
        void this.answer(`${repo}/${title}`, ask.request.id, decision).catch(() => undefined);
    };
    setTimeout(answer, answerAfterMs).unref();
  }

  #note({ directory, text }: InstanceDecision): void {
    const repo = this.repos.find((name) => this.#stage.repos.get(name) === directory);
    if (repo === undefined) return;
    this.#decisions.unshift({ at: Date.now(), repo, text });
    this.#decisions.splice(MAX_DECISIONS);
  }

  #sample(): void {
    const repos = this.jarvis.repos();
    const children = repos.reduce((sum, { processes }) => sum + (processes?.rssBytes ?? 0), 0);
    this.#samples.push({
      at: Date.now(),
      loaded: repos.filter(({ loaded }) => loaded).length,
      rssBytes: rssBytesOf(this.jarvis.server.pid) + children,
    });
    this.#samples.splice(0, this.#samples.length - MAX_SAMPLES);
  }
}

/** The memory of a process on Linux; 0 elsewhere, and for one that has ended. */
function rssBytesOf(pid: number | undefined): number {
  try {
    const kibibytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}
