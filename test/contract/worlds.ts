import type { JarvisOpenCode, JarvisOptions } from 'jarvis-opencode';
import type { MockScript } from 'jarvis-opencode/testing';
import { openMockWorld } from './mock-world.js';
import { openRealWorld } from './real-world.js';

/** A request past the library. */
export interface WireRequest {
  /** @default 'GET' */
  readonly method?: string;
  /** Sent encoded in the header. */
  readonly directory?: string;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** @default the right one */
  readonly password?: string | false;
  readonly signal?: AbortSignal;
}

/** One server, its model, and directories on its disk. */
export interface World {
  /** A client that disposes nothing by itself. */
  readonly jarvis: JarvisOpenCode;
  /** Connects one more client to the same server; it is closed with the world. */
  connect(options?: JarvisOptions & { readonly password?: string }): Promise<JarvisOpenCode>;
  /** Sends a request without the library. */
  fetch(path: string, request?: WireRequest): Promise<Response>;
  /** Lets the model answer as the script says from now on. */
  script(script: MockScript): void;
  /** Lets the model make summaries as the script says from now on. */
  summary(script: MockScript): void;
  /** A git repository of its own project. */
  repo(): Promise<string>;
  /** Two clones of one repository. */
  clones(): Promise<readonly [string, string]>;
  /** A repository in a directory of the name {@link ODD_NAME}. */
  oddRepo(): Promise<string>;
  /** A repository in a directory of this name, which may have slashes. */
  repoNamed(name: string): Promise<string>;
  /** Breaks the configuration of a directory; the returned function repairs the file. */
  breakRepo(directory: string): Promise<() => Promise<void>>;
  /** Closes the clients and ends the server, with everything that was made for it. */
  close(): Promise<void>;
}

/** What runs in a terminal: it shows each line in `<>`, the size of the terminal for `size`, and ends with 3 for `bye`. */
export const LINE_PROGRAM = {
  command: '/bin/sh',
  args: [
    '-c',
    // OpenCode 1.18.33 can lose what a program prints before it listens.
    `stty -echo; sleep 0.3; echo 'ready 🦊'; while read -r l; do case $l in bye) exit 3;; size) stty size;; *) echo "<$l>";; esac; done`,
  ],
};

/** Every kind of character that an encoding too many or too few would change. */
export const ODD_NAME = `a b%20ü日#?+'`;

/** The two worlds; a suite is written once and runs in each. */
export const worlds: readonly { readonly name: string; readonly open: () => Promise<World> }[] = [
  { name: 'the mock', open: openMockWorld },
  { name: 'the real server', open: openRealWorld },
];
