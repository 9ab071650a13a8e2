import type { PermissionRule, SessionInfo } from '../../client/schema/session.js';
import type { Entries } from './entries.js';
import type { Usage } from './usage.js';

/** A permission rule of OpenCode 2. */
export interface Rule {
  readonly action: string;
  readonly resource: string;
  readonly effect: PermissionRule['action'];
}

/** A model as a session names it. */
export interface SelectedModel {
  readonly id: string;
  readonly providerID: string;
  readonly variant?: string;
}

/** What a session of OpenCode 2 has and one of OpenCode 1.x has not. */
export interface SessionFacts {
  agent?: string;
  model?: SelectedModel;
  fork?: object;
}

/** The title of a session; `undefined` when nobody has named it. */
export function titleOf({ title, time }: SessionInfo): string | undefined {
  return title === `New session - ${new Date(time.created).toISOString()}` ? undefined : title;
}

/** The data of the event about a new session. */
export function createdData(info: SessionInfo): Record<string, unknown> {
  const { id, slug, projectID, directory, version, parentID, agent, model, metadata, permission } = info;
  const title = titleOf(info);
  return {
    sessionID: id,
    slug,
    version,
    projectID,
    ...(parentID !== undefined && { parentID }),
    location: { directory },
    subpath: '',
    ...(title !== undefined && { title }),
    ...(agent !== undefined && { agent }),
    ...(model !== undefined && { model }),
    ...(metadata !== undefined && { metadata }),
    ...(permission !== undefined && { permissions: permission.map(ruleOf) }),
  };
}

/** A session as OpenCode 2 shows it. */
export function sessionOf(
  info: SessionInfo,
  { agent, model, fork }: SessionFacts,
  entries: Entries,
  usage: Usage,
): Record<string, unknown> {
  const { id, projectID, directory, parentID, metadata, permission, time } = info;
  const title = titleOf(info);
  const { outcome, idle } = entries.outcomeOf(id) ?? {};
  return {
    id,
    ...(parentID !== undefined && { parentID }),
    ...(fork !== undefined && { fork }),
    projectID,
    ...(agent !== undefined && { agent }),
    ...(model !== undefined && { model: { ...model, variant: model.variant ?? 'default' } }),
    ...usage.of(id),
    ...(outcome !== undefined && { outcome }),
    time: { created: time.created, updated: time.updated, ...(idle !== undefined && { idle }) },
    ...(title !== undefined && { title }),
    location: { directory },
    ...(metadata !== undefined && { metadata }),
    ...(permission !== undefined && { permissions: permission.map(ruleOf) }),
  };
}

/** A rule as OpenCode 2 writes it. */
export function ruleOf({ permission, pattern, action }: PermissionRule): Rule {
  return { action: permission, resource: pattern, effect: action };
}

/** A rule as the state of the mock keeps it. */
export function permissionRuleOf({ action, resource, effect }: Rule): PermissionRule {
  return { permission: action, pattern: resource, action: effect };
}
