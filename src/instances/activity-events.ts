import { activityChangeOf, instanceErrorOf, isPluginError } from '../client/instances/events.js';
import type { EventProperties, OpenCodeEvent } from '../client/schema/event.js';
import type { Logger } from '../core/logger.js';
import type { InstanceEntry } from '../registry/instance-entry.js';

/** What applying an event needs from the client around it. */
export interface EventContext {
  /** Whether anything was heard of a session of the server, e.g. as the answer to a call that created it. */
  readonly knowsSession: (sessionID: string) => boolean;
  readonly logger: Logger;
}

/** Applies an event to what is known of the instance of its directory: it is loaded, and maybe more. */
export function applyEvent(entry: InstanceEntry, event: OpenCodeEvent, context: EventContext): void {
  entry.notice();
  const change = activityChangeOf(event);
  if (change?.effect === 'begin') entry.begin(change.kind, change.item);
  else if (change?.effect === 'end') entry.end(change.kind, change.id);
  else if (change?.effect === 'use') entry.use();
  if (event.type === 'session.created') noteCreated(entry, event.properties.info, context);
  if (event.type === 'session.error') noteError(entry, event.properties, context);
}

/**
 * The answer to a call comes before the event (OpenCode 1.18.33), so a session that is not known yet belongs to another client. A child
 * session belongs to the client of its parent.
 */
function noteCreated(
  { foreign }: InstanceEntry,
  { id, parentID }: EventProperties['session.created']['info'],
  { knowsSession }: EventContext,
): void {
  if (parentID !== undefined || knowsSession(id)) foreign.claim(id);
  else foreign.saw(id);
}

function noteError(
  entry: InstanceEntry,
  properties: EventProperties['session.error'],
  { logger }: EventContext,
): void {
  const error = instanceErrorOf(properties);
  if (error === undefined) return;
  if (isPluginError(error)) entry.notePluginError(error);
  logger.warn('instance reported an error', { directory: entry.directory, error });
}
