import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire, withoutNulls } from './wire.js';

/** A command such as `/init`: a template for a prompt, from the configuration, an MCP server or a skill. */
export interface Command {
  /** Without the slash. */
  name: string;
  description?: string;
  agent?: string;
  /** As `provider/model`. */
  model?: string;
  source?: 'command' | 'mcp' | 'skill';
  template: string;
  /** Whether it runs in a child session. */
  subtask?: boolean;
  /** The placeholders in the template, e.g. `$1` and `$ARGUMENTS`. */
  hints: string[];
}

const OPTIONAL = ['description', 'agent', 'model', 'source', 'subtask'];
export const commandListSchema = lazy(() =>
  wire<Command[]>(z.array(z.looseObject({ name: z.string() }).overwrite(withoutNulls(...OPTIONAL)))),
);
