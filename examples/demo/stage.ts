import type { CreateSessionInput, PromptInput, StartOptions } from 'jarvis-opencode';

/** What is asked, and what the answer must contain where that is known. */
export interface Question {
  readonly prompt: PromptInput;
  readonly expected: string | undefined;
}

/** One of the two repositories and the first question asked in it. */
export interface Role extends Question {
  /** What the repository is called in the story. */
  readonly name: string;
  readonly directory: string;
}

/** Where the story plays: everything that differs between the scripted model and the user's own. */
export interface Stage extends AsyncDisposable {
  /** What is special about it, for the first line. */
  readonly title: string;
  readonly startOptions: StartOptions;
  readonly idleTimeoutMs: number;
  /** The whole story takes no longer than this. */
  readonly limitMs: number;
  /** Found in the environment of the server and of whatever it started. */
  readonly marker: string;
  readonly session: CreateSessionInput;
  /** Goes idle and is disposed, then woken by `again`. */
  readonly first: Role;
  readonly again: Question;
  /** Busy all the while. */
  readonly second: Role;
  /** Whether the second repository's turn runs until `finish` is called; otherwise it ends when it ends. */
  readonly isSecondPaced: boolean;
  /** Lets the second repository's turn come to its end. */
  finish(): void;
  /** Whether the sessions are deleted at the end, because they would stay in somebody's list. */
  readonly deletesSessions: boolean;
}
