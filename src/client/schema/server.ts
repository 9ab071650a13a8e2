import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** How long an answer about health may be; OpenCode 1.18.33 sends 40 bytes. */
export const MAX_HEALTH_BYTES = 64 * 1024;

/** What `/global/health` answers. */
export interface Health {
  healthy: true;
  /** The server's own version, e.g. `1.18.33`. */
  version: string;
}
export const healthSchema = lazy(() =>
  wire<Health>(z.looseObject({ healthy: z.boolean(), version: z.string() })),
);

/** What OpenCode 2 answers to `GET /api/info`, as far as it is read; OpenCode 2.0.14. */
export interface OpenCode2Info {
  /** e.g. `2.0.14` */
  version: string;
  pid: number;
}
export const openCode2InfoSchema = lazy(() =>
  wire<OpenCode2Info>(z.looseObject({ version: z.string(), pid: z.number() })),
);

export const booleanSchema = lazy(() => z.boolean());

/** Where the server keeps things, and which directory a request is pinned to. */
export interface PathInfo {
  home: string;
  state: string;
  config: string;
  worktree: string;
  directory: string;
}
export const pathInfoSchema = lazy(() => wire<PathInfo>(z.looseObject({ directory: z.string() })));
