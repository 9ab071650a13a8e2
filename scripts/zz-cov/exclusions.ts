/** A reason why operations have no method. */
export interface Exclusion {
  /** `METHOD /path`, or a path with `*` for anything. */
  readonly operations: string;
  readonly reason: string;
}

const EXPERIMENTAL = 'experimental without a stable shape';

/** What the library leaves out, and why. */
export const EXCLUSIONS: readonly Exclusion[] = [
  { operations: '/api/*', reason: 'preview of another API, with a message store of its own' },
  { operations: '/sync/*', reason: EXPERIMENTAL },
  { operations: '/experimental/workspace*', reason: EXPERIMENTAL },
  { operations: '/experimental/console*', reason: EXPERIMENTAL },
  { operations: '/experimental/control-plane*', reason: EXPERIMENTAL },
  { operations: '/experimental/project/*/copy*', reason: EXPERIMENTAL },
  { operations: '/experimental/session*', reason: EXPERIMENTAL },
  { operations: '/experimental/resource', reason: EXPERIMENTAL },
  { operations: '/experimental/capabilities', reason: EXPERIMENTAL },
  { operations: 'POST /global/upgrade', reason: 'replaces the installed binary' },
  {
    operations: 'GET /event',
    reason: 'served from the one global stream, so that no instance is kept or lost',
  },
];

/** Whether an exclusion is about an operation, given as `METHOD /path`. */
export function excludes(exclusion: Exclusion, operation: string): boolean {
  const target = exclusion.operations.startsWith('/') ? operation.slice(operation.indexOf('/')) : operation;
  const pattern = exclusion.operations.split('*').map(escape).join('.*');
  return new RegExp(`^${pattern}$`).test(target);
}

function escape(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
}
