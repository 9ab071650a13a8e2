/** How a server ended: its exit code or signal, both `null` for a server we only connected to. */
export interface ServerExit {
  readonly code: number | null;
  readonly signal: string | null;
}
