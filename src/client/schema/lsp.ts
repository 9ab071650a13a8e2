import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** A running language server. */
export interface LspStatus {
  id: string;
  name: string;
  /** Relative to the repository; empty for its root. */
  root: string;
  status: 'connected' | 'error';
}
export const lspStatusListSchema = lazy(() => wire<LspStatus[]>(z.array(z.looseObject({ id: z.string() }))));
