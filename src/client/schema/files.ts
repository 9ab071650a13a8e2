import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** One entry of a directory. The `path` of a directory ends with a slash. */
export interface FileNode {
  name: string;
  /** Relative to the repository. */
  path: string;
  absolute: string;
  type: 'file' | 'directory';
  /** Whether git ignores it. */
  ignored: boolean;
}
export const fileNodeListSchema = lazy(() =>
  wire<FileNode[]>(z.array(z.looseObject({ name: z.string(), path: z.string() }))),
);

/** The content of a file; that of a `binary` one has the `encoding` `base64`. */
export interface FileContent {
  type: 'text' | 'binary';
  content: string;
  diff?: string;
  patch?: {
    oldFileName: string;
    newFileName: string;
    oldHeader?: string;
    newHeader?: string;
    hunks: {
      oldStart: number;
      oldLines: number;
      newStart: number;
      newLines: number;
      lines: string[];
    }[];
    index?: string;
  };
  encoding?: 'base64';
  mimeType?: string;
}
export const fileContentSchema = lazy(() => wire<FileContent>(z.looseObject({ content: z.string() })));

/** How many lines of a file changed. */
export interface FileStatus {
  path: string;
  added: number;
  removed: number;
  status: 'added' | 'deleted' | 'modified';
}
export const fileStatusListSchema = lazy(() =>
  wire<FileStatus[]>(z.array(z.looseObject({ path: z.string() }))),
);

export const directoryPathSchema = lazy(() => z.string());
export const filePathSchema = lazy(() => z.string().min(1));
