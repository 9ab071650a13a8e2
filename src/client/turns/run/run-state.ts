/** Where a run stands. */
export type RunState =
  /** It waits in the queue. */
  | 'queued'
  /** It takes its hold, checks the session and waits until the prompt can be sent. */
  | 'preparing'
  /** Something that no turn of this client runs is at work in the session. */
  | 'held-up'
  /** The server may know the prompt. */
  | 'following'
  /** It asks the server to abort the turn whenever the session is seen at work. */
  | 'aborting'
  /** The session is free for the next turn. */
  | 'ended';

/** What a prompt waits for that is not sent yet. */
export const WAITS_FOR: Partial<Record<RunState, string>> = {
  queued: 'other turns of this client',
  preparing: 'its repository or the server',
  'held-up': "another client's work in the session",
};
