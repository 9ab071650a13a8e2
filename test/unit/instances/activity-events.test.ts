import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/core/logger.js';
import type { OpenCodeEvent } from 'jarvis-opencode';
import { applyEvent } from '../../../src/instances/activity-events.js';
import type { InstanceEntry } from '../../../src/registry/instance-entry.js';
import { fakeClock } from '../../support/fake-clock.js';
import { quietRegistry } from '../../support/quiet-registry.js';

const event = (type: string, properties: object): OpenCodeEvent =>
  ({ directory: '/a', id: 'evt_1', type, properties }) as unknown as OpenCodeEvent;

function apply(
  entry: InstanceEntry,
  type: string,
  properties: object,
  known: readonly string[] = [],
): string[] {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (message: string) => warnings.push(message) };
  applyEvent(entry, event(type, properties), { knowsSession: (id) => known.includes(id), logger });
  return warnings;
}

describe('applying an event', () => {
  it('marks the instance as loaded by any event, and as used only by some', () => {
    const clock = fakeClock();
    const entry = quietRegistry(clock).entry('/a');
    apply(entry, 'lsp.updated', {});
    const { lastUsedAt = 0 } = entry;
    expect(entry.loaded).toBe(true);
    clock.advance(10);
    apply(entry, 'lsp.updated', {});
    expect(entry.lastUsedAt).toBe(lastUsedAt);
    apply(entry, 'todo.updated', {});
    expect(entry.lastUsedAt).toBe(lastUsedAt + 10);
  });

  it('holds the instance from the beginning of an activity to its end', () => {
    const entry = quietRegistry().entry('/a');
    apply(entry, 'session.status', { sessionID: 'ses_1', status: { type: 'busy' } });
    apply(entry, 'permission.asked', { id: 'per_1', sessionID: 'ses_1' });
    expect(entry.holds().map(({ kind, detail }) => [kind, detail])).toEqual([
      ['session-busy', 'ses_1'],
      ['permission', 'per_1'],
    ]);
    apply(entry, 'session.idle', { sessionID: 'ses_1' });
    expect(entry.holds()).toEqual([]);
  });

  it.each([
    ['an unknown session', { id: 'ses_theirs' }, true],
    ['a session of this client', { id: 'ses_own' }, false],
    ['a child of any session', { id: 'ses_child', parentID: 'ses_theirs' }, false],
  ])('counts the creation of %s as a use by others: %j %s', async (_what, info, isForeign) => {
    const entry = quietRegistry().entry('/a');
    (await entry.acquire('request', 'GET /path'))();
    apply(entry, 'session.created', { sessionID: info.id, info }, ['ses_own']);
    expect(entry.foreign.isSeen).toBe(isForeign);
  });

  it('keeps the error of a plugin and logs every error of the instance', () => {
    const entry = quietRegistry().entry('/a');
    const plugin = { name: 'UnknownError', data: { message: 'Failed to load plugin x' } };
    expect(apply(entry, 'session.error', { error: plugin })).toEqual(['instance reported an error']);
    expect(apply(entry, 'session.error', { error: { name: 'Other' } })).toEqual([
      'instance reported an error',
    ]);
    expect(apply(entry, 'session.error', { sessionID: 'ses_1', error: plugin })).toEqual([]);
    expect(entry.stats(undefined).pluginErrors).toEqual(['Failed to load plugin x']);
  });
});
