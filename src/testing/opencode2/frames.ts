/** The events that OpenCode 2.0.14 stores, each with the version of its shape. Only these have a number. */
const DURABLE = {
  'session.created': 1,
  'session.renamed': 1,
  'session.metadata.updated': 1,
  'session.permissions': 1,
  'session.agent.selected': 1,
  'session.model.selected': 1,
  'session.forked': 2,
  'session.deleted': 2,
  'session.inbox.enqueued': 1,
  'session.inbox.delivered': 1,
  'session.inbox.cancelled': 1,
  'session.inbox.delivery.changed': 1,
  'session.instructions.updated': 2,
  'session.execution.started': 1,
  'session.execution.succeeded': 1,
  'session.execution.failed': 1,
  'session.execution.interrupted': 1,
  'session.step.started': 1,
  'session.step.streamed': 1,
  'session.step.ended': 1,
  'session.step.failed': 1,
  'session.retry.scheduled': 1,
  'session.text.started': 1,
  'session.text.ended': 1,
  'session.reasoning.started': 1,
  'session.reasoning.ended': 1,
  'session.tool.input.started': 1,
  'session.tool.input.ended': 1,
  'session.tool.called': 1,
  'session.tool.success': 2,
  'session.tool.failed': 2,
} as const;

/** The events of a location that is loaded, after `project.updated`. */
export const BOOT_EVENTS = [
  'integration.updated',
  'provider.updated',
  'model.updated',
  'vcs.branch.updated',
  'agent.updated',
  'command.updated',
  'skill.updated',
  'websearch.updated',
  'reference.updated',
  'plugin.updated',
] as const;

/** The name of an event that the mock of OpenCode 2 sends. */
export type OpenCode2EventType =
  | keyof typeof DURABLE
  | (typeof BOOT_EVENTS)[number]
  | 'server.connected'
  | 'project.updated'
  | 'location.shutdown'
  | 'session.usage.updated'
  | 'session.text.delta'
  | 'session.reasoning.delta'
  | 'session.tool.progress'
  | 'permission.asked'
  | 'permission.replied'
  | 'form.created'
  | 'form.replied'
  | 'form.cancelled';

/** An event of OpenCode 2. */
export interface Frame {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly created: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly type: OpenCode2EventType;
  readonly location?: { readonly directory: string };
  readonly data: Readonly<Record<string, unknown>>;
  /** The number of the event in its session. */
  readonly durable?: { readonly aggregateID: string; readonly seq: number; readonly version: number };
}

/** The version of the shape of an event that is stored; `undefined` for one that is not. */
export function durableVersion(type: OpenCode2EventType): number | undefined {
  return (DURABLE as Partial<Record<OpenCode2EventType, number>>)[type];
}
