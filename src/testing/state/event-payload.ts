import type { EventType } from '../../client/schema/event.js';

/** An event as the server puts it into a frame. */
export interface EventPayload {
  readonly id: string;
  readonly type: EventType;
  readonly properties: object;
}
