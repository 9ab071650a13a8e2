import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** A line in which a pattern was found. */
export interface TextMatch {
  path: { text: string };
  /** The whole line, with its line break. */
  lines: { text: string };
  /** From 1. */
  line_number: number;
  /** Where the line begins in the file, in bytes. */
  absolute_offset: number;
  /** `start` and `end` count bytes within the line. */
  submatches: { match: { text: string }; start: number; end: number }[];
}
export const textMatchListSchema = lazy(() =>
  wire<TextMatch[]>(z.array(z.looseObject({ path: z.looseObject({ text: z.string() }) }))),
);

export const foundPathListSchema = lazy(() => z.array(z.string()));

/** A symbol of the code, as language servers describe it: `kind` is LSP's `SymbolKind`, positions count from 0. */
export interface CodeSymbol {
  name: string;
  kind: number;
  location: {
    uri: string;
    range: {
      start: { line: number; character: number };
      end: { line: number; character: number };
    };
  };
}
export const codeSymbolListSchema = lazy(() =>
  wire<CodeSymbol[]>(z.array(z.looseObject({ name: z.string() }))),
);

export const findTextInputSchema = lazy(() => z.strictObject({ pattern: z.string().min(1) }));
/** What to look for: `pattern` is a regular expression in the syntax of ripgrep. @useDeclaredType */
export type FindTextInput = z.infer<ReturnType<typeof findTextInputSchema>>;

export const findFilesInputSchema = lazy(() =>
  z.strictObject({
    query: z.string(),
    type: z.enum(['file', 'directory']).optional(),
    dirs: z.boolean().optional(),
    limit: z.number().int().min(1).max(200).optional(),
  }),
);
/**
 * Which paths to look for.
 *
 * - `query`: matched loosely against the whole path, as an editor's "go to file" does; empty for every path.
 * - `type`: only files, or only directories. Wins over `dirs`.
 * - `dirs`: `false` leaves out directories; `true` by default.
 * - `limit`: at most this many, 1 to 200; 10 by default.
 *
 * @useDeclaredType
 */
export type FindFilesInput = z.infer<ReturnType<typeof findFilesInputSchema>>;

export const findSymbolsInputSchema = lazy(() => z.strictObject({ query: z.string() }));
/** Which symbols to look for: `query` is a part of the name. @useDeclaredType */
export type FindSymbolsInput = z.infer<ReturnType<typeof findSymbolsInputSchema>>;
