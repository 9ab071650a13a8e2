import type { EventType } from '../../client/schema/event.js';
import type { OpenCode2EventType } from '../opencode2/frames.js';

/** An event as the server puts it into a frame. */
export interface EventPayload {
  readonly id: string;
  readonly type: EventType | OpenCode2EventType;
  readonly properties: object;
}
