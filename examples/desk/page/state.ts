/** What the back end of the desk tells its page, twice a second. Times are epoch milliseconds. */
export interface DeskState {
  readonly now: number;
  /** Whether the script prompts by itself. */
  readonly isPlaying: boolean;
  readonly server: {
    readonly state: string;
    readonly version: string;
    readonly pid: number | undefined;
    readonly url: string;
  };
  readonly idleTimeoutMs: number;
  readonly repos: readonly RepoState[];
  readonly conversations: readonly ConversationState[];
  /** What was decided about instances, newest first. */
  readonly decisions: readonly { readonly at: number; readonly repo: string; readonly text: string }[];
  /** Oldest first. */
  readonly samples: readonly Sample[];
}

export interface RepoState {
  readonly name: string;
  readonly directory: string;
  readonly state: string;
  readonly isLoaded: boolean;
  /** Whether the desk itself holds it. */
  readonly isHeld: boolean;
  readonly holds: readonly { readonly kind: string; readonly detail: string; readonly since: number }[];
  readonly idleDeadline: number | undefined;
  readonly children: number;
  readonly childrenBytes: number;
  readonly boots: number;
}

export interface ConversationState {
  readonly key: string;
  readonly repo: string;
  readonly title: string;
  /** How many turns it has begun. */
  readonly turns: number;
  readonly isBusy: boolean;
  readonly exchanges: readonly { readonly prompt: string; readonly text: string }[];
  readonly asks: readonly AskState[];
}

export type AskState =
  | {
      readonly type: 'permission';
      readonly id: string;
      readonly what: string;
      readonly patterns: readonly string[];
    }
  | {
      readonly type: 'question';
      readonly id: string;
      readonly questions: readonly {
        readonly question: string;
        readonly options: readonly { readonly label: string }[];
      }[];
    };

/** What was loaded and used at one moment. */
export interface Sample {
  readonly at: number;
  readonly loaded: number;
  /** Of the server and its children together. */
  readonly rssBytes: number;
}
