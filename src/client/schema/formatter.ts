import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** A formatter, which runs on every file an agent writes. */
export interface FormatterStatus {
  name: string;
  /** With the dot. */
  extensions: string[];
  /** Whether it is there and switched on. */
  enabled: boolean;
}
export const formatterStatusListSchema = lazy(() =>
  wire<FormatterStatus[]>(z.array(z.looseObject({ name: z.string() }))),
);
