import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** Instructions that an agent loads when it needs them. */
export interface Skill {
  name: string;
  description?: string;
  /** The path of its `SKILL.md`, or `<built-in>`. */
  location: string;
  content: string;
}
export const skillListSchema = lazy(() => wire<Skill[]>(z.array(z.looseObject({ name: z.string() }))));
