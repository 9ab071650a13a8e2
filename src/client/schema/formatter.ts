import * as z from 'zod';
import { wire } from './wire.js';

/** A formatter, which runs on every file an agent writes. */
export interface FormatterStatus {
  name: string;
  /** With the dot. */
  extensions: string[];
  /** Whether it is there and switched on. */
  enabled: boolean;
}
export const formatterStatusListSchema = wire<FormatterStatus[]>(
  z.array(z.looseObject({ name: z.string() })),
);
