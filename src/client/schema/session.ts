import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** Token counts of a message, a session or a turn. */
export interface Tokens {
  total?: number;
  input: number;
  output: number;
  reasoning: number;
  cache: { read: number; write: number };
}
export const tokensSchema = lazy(() =>
  z.looseObject({
    total: z.number().optional(),
    input: z.number(),
    output: z.number(),
    reasoning: z.number(),
    cache: z.looseObject({ read: z.number(), write: z.number() }),
  }),
);

/** One rule of a session's permission list; the last matching rule wins on the server. */
export interface PermissionRule {
  permission: string;
  pattern: string;
  action: 'allow' | 'deny' | 'ask';
}

/** What changed in one file. */
export interface FileDiff {
  file?: string;
  patch?: string;
  additions: number;
  deletions: number;
  status?: 'added' | 'deleted' | 'modified';
}
export const fileDiffListSchema = lazy(() => wire<FileDiff[]>(z.array(z.looseObject({}))));

/** A session as the server sends it. `time.*` are epoch milliseconds; `directory` is the one it belongs to for good. */
export interface SessionInfo {
  id: string;
  slug: string;
  projectID: string;
  workspaceID?: string;
  directory: string;
  path?: string;
  parentID?: string;
  title: string;
  version: string;
  time: { created: number; updated: number; compacting?: number; archived?: number };
  summary?: { additions: number; deletions: number; files: number; diffs?: FileDiff[] };
  cost?: number;
  tokens?: Tokens;
  share?: { url: string };
  agent?: string;
  model?: { id: string; providerID: string; variant?: string };
  metadata?: Record<string, unknown>;
  permission?: PermissionRule[];
  revert?: { messageID: string; partID?: string; snapshot?: string; diff?: string };
}
export const sessionSchema = lazy(() =>
  wire<SessionInfo>(
    z.looseObject({
      id: z.string(),
      directory: z.string(),
      title: z.string(),
      parentID: z.string().optional(),
      time: z.looseObject({ created: z.number(), updated: z.number() }),
    }),
  ),
);
export const sessionListSchema = lazy(() => z.array(sessionSchema()));

/**
 * What a session is doing. A session that is idle is absent from the status map. A type the server adds later is passed
 * through: it is not idle, and that is what counts.
 */
export type SessionStatus =
  | { type: 'idle' }
  | { type: 'busy' }
  | {
      type: 'retry';
      attempt: number;
      message: string;
      action?: {
        reason: string;
        provider: string;
        title: string;
        message: string;
        label: string;
        link?: string;
      };
      /** When the provider is asked again, epoch milliseconds. */
      next: number;
    };
export const sessionStatusSchema = lazy(() => wire<SessionStatus>(z.looseObject({ type: z.string() })));

/** The sessions of one directory that are not idle, by session id. */
export const sessionStatusMapSchema = lazy(() => z.record(z.string(), sessionStatusSchema()));

/** One entry of the list an agent keeps of what it has to do. */
export interface Todo {
  content: string;
  /** `pending`, `in_progress`, `completed` or `cancelled`. */
  status: string;
  /** `high`, `medium` or `low`. */
  priority: string;
}
export const todoListSchema = lazy(() => wire<Todo[]>(z.array(z.looseObject({ content: z.string() }))));
