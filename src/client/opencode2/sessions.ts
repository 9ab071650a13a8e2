import type { PermissionRule, SessionInfo } from '../schema/session.js';
import type { DialectMemory } from './memory.js';
import type { WireRule, WireSession } from './wire.js';

/** What OpenCode 2 calls tools that have another name in OpenCode 1.18. It renames them in a configuration, but not in a session's rules. */
const RENAMED_TOOLS: Readonly<Record<string, string>> = { bash: 'shell', task: 'subagent' };

/** Translates a session and remembers it. */
export function toSession(memory: DialectMemory, info: WireSession): SessionInfo {
  const {
    id,
    parentID,
    projectID,
    time,
    title = '',
    metadata,
    agent,
    model,
    cost,
    tokens,
    permissions,
  } = info;
  const session: SessionInfo = {
    id,
    slug: '',
    projectID,
    directory: info.location.directory,
    title,
    version: '',
    time: {
      created: time.created,
      updated: time.updated,
      ...(time.archived !== undefined && { archived: time.archived }),
    },
    ...(parentID !== undefined && { parentID }),
    ...(info.subpath !== undefined && { path: info.subpath }),
    ...(agent !== undefined && { agent }),
    ...(model !== undefined && { model: { ...model } }),
    ...(cost !== undefined && { cost }),
    ...(tokens !== undefined && { tokens }),
    ...(metadata !== undefined && { metadata }),
    ...(permissions !== undefined && { permission: permissions.map(toRule) }),
  };
  memory.sessions.set(id, session);
  return session;
}

export function toRule({ action, resource, effect }: WireRule): PermissionRule {
  return { permission: action, pattern: resource, action: effect };
}

/** Translates a rule of a session, as a caller gives it. */
export function fromRule({ permission, pattern, action }: PermissionRule): WireRule {
  return { action: RENAMED_TOOLS[permission] ?? permission, resource: pattern, effect: action };
}
