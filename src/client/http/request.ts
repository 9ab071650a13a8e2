import type { Schema } from '../schema/wire.js';

/** Where the server is now, and the credentials for it. */
export interface Endpoint {
  /** Origin, e.g. `http://127.0.0.1:4096`. */
  readonly url: string;
  /** Value of the `authorization` header. */
  readonly authorization?: string | undefined;
}

/** Releases the hold that {@link Acquire} took; calling it again does nothing. */
export type Release = () => void;

/**
 * Suspends the time limit of a call while its instance is being loaded; the returned function starts the limit anew.
 */
export type SuspendLimit = () => () => void;

/** Takes a hold on the instance a request needs and waits until it may be sent. */
export type Acquire = (signal: AbortSignal, suspendLimit: SuspendLimit) => Promise<Release>;

/** One operation: where it goes, what it carries, and what it returns. */
export interface HttpRequest<T> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Encoded path, made with `route`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  readonly json?: unknown;
  readonly schema: Schema<T>;
  /** The repository the request is pinned to, by its header unless its query has a `directory`. */
  readonly directory?: string | undefined;
  readonly acquire?: Acquire | undefined;
  /** How long its answer may be, in bytes, whatever the options say. */
  readonly maxBytes?: number | undefined;
  /** Called just before sending: from then on the request may have an effect on the server. */
  readonly onSend?: (() => void) | undefined;
}

/** A request that somebody else made. */
export interface ForwardedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: ArrayBuffer | undefined;
  /**
   * The repository that its header pins it to; `undefined` when its query pins it, or when it concerns the server as a
   * whole.
   */
  readonly directory: string | undefined;
  readonly signal: AbortSignal;
}

/** One page of a list. */
export interface Page<T> {
  readonly items: T[];
  /** Asks for the page after this one; `undefined` when this is the last. */
  readonly next: string | undefined;
}

/** The header that pins a request to a directory. The server decodes it once, so `%`, `#` and non-ASCII must be encoded. */
export const DIRECTORY_HEADER = 'x-opencode-directory';
