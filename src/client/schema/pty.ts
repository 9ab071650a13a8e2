import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** A pseudo terminal. OpenCode 1.18.33 forgets it as soon as its process ends, so `status` reads `running`. */
export interface Pty {
  /** `pty_…`. */
  id: string;
  title: string;
  command: string;
  args: string[];
  cwd: string;
  status: 'running' | 'exited';
  pid: number;
  exitCode?: number;
}
export const ptySchema = lazy(() => wire<Pty>(z.looseObject({ id: z.string() })));
export const ptyListSchema = lazy(() => wire<Pty[]>(z.array(z.looseObject({ id: z.string() }))));

/** A shell that is installed beside the server. */
export interface PtyShell {
  path: string;
  name: string;
  /** Whether OpenCode would run its own commands in it. */
  acceptable: boolean;
}
export const ptyShellListSchema = lazy(() => wire<PtyShell[]>(z.array(z.looseObject({ path: z.string() }))));

/** What proves once, within `expires_in` seconds, that its bearer may connect to one terminal. */
export interface PtyConnectToken {
  ticket: string;
  expires_in: number;
}
export const ptyConnectTokenSchema = lazy(() => wire<PtyConnectToken>(z.looseObject({ ticket: z.string() })));

export const createPtyInputSchema = lazy(() =>
  z.strictObject({
    command: z.string().min(1).optional(),
    args: z.array(z.string()).optional(),
    cwd: z.string().min(1).optional(),
    title: z.string().optional(),
    env: z.record(z.string(), z.string()).optional(),
  }),
);
/**
 * What to run in a new terminal; everything is optional.
 *
 * - `command`: the user's login shell by default. The server appends `-l` to the `args` of a shell.
 * - `cwd`: the repository by default; it may be outside of it.
 * - `env`: added to the environment of the server.
 *
 * @useDeclaredType
 */
export type CreatePtyInput = z.infer<ReturnType<typeof createPtyInputSchema>>;

export const ptySizeSchema = lazy(() =>
  z.strictObject({
    rows: z.number().int().positive(),
    cols: z.number().int().positive(),
  }),
);
/** The size of a terminal in characters. @useDeclaredType */
export type PtySize = z.infer<ReturnType<typeof ptySizeSchema>>;

export const updatePtyInputSchema = lazy(() =>
  z.strictObject({
    title: z.string().optional(),
    size: ptySizeSchema().optional(),
  }),
);
/** What to change of a terminal. @useDeclaredType */
export type UpdatePtyInput = z.infer<ReturnType<typeof updatePtyInputSchema>>;

export const ptyCursorSchema = lazy(() => z.number().int().min(-1).optional());
