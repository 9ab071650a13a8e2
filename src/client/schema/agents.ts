import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import type { PermissionRule } from './session.js';
import { wire, withoutNulls } from './wire.js';

/** An agent: a `primary` one can be chosen for a prompt, a `subagent` is called by another one, `all` means both. */
export interface Agent {
  name: string;
  description?: string;
  mode: 'subagent' | 'primary' | 'all';
  /** Whether it comes with OpenCode. */
  native?: boolean;
  /** Whether it is not meant to be chosen by the user. */
  hidden?: boolean;
  topP?: number;
  temperature?: number;
  color?: string;
  /** The last matching rule wins. */
  permission: PermissionRule[];
  model?: { modelID: string; providerID: string };
  variant?: string;
  prompt?: string;
  options: Record<string, unknown>;
  /** How many model calls a turn may take. */
  steps?: number;
}

const OPTIONAL = [
  'description',
  'native',
  'hidden',
  'topP',
  'temperature',
  'color',
  'model',
  'variant',
  'prompt',
  'steps',
];
export const agentListSchema = lazy(() =>
  wire<Agent[]>(z.array(z.looseObject({ name: z.string() }).overwrite(withoutNulls(...OPTIONAL)))),
);
