import {
  JarvisOpenCode,
  type JarvisOptions,
  type Logger,
  type PermissionRequest,
  type QuestionRequest,
  type Turn,
} from 'jarvis-opencode';
import { expect, onTestFinished, vi } from 'vitest';
import { fakeClock } from '../../../support/fake-clock.js';
import { FakeOpenCode } from '../../../support/fake-opencode.js';
import { changingHandle } from '../../../support/server-handle.js';

export const DIRECTORY = '/srv/app';

/** A client of a fake server, with a session `ses_1` of its own. */
export function setUp(options: JarvisOptions = {}) {
  const server = new FakeOpenCode(DIRECTORY);
  server.sessions.set('ses_1', {});
  const warn = vi.fn<Logger['warn']>();
  const logger: Logger = { debug: () => undefined, info: () => undefined, warn, error: () => undefined };
  const clock = fakeClock();
  const handle = changingHandle();
  const jarvis = new JarvisOpenCode(handle, {
    fetch: server.fetch,
    idle: false,
    logger,
    clock,
    ...options,
  });
  onTestFinished(() => jarvis.close());
  const repo = jarvis.forRepo(DIRECTORY);
  return { server, warn, clock, handle, jarvis, repo, session: repo.sessions.session('ses_1') };
}

export function permission(id: string, sessionID = 'ses_1'): PermissionRequest {
  return { id, sessionID, permission: 'bash', patterns: ['ls'], metadata: {}, always: [] };
}

/** Asks `count` questions at once. */
export function question(id: string, sessionID = 'ses_1', count = 1): QuestionRequest {
  const one = { question: 'Which?', header: 'Which', options: [] };
  return { id, sessionID, questions: Array.from({ length: count }, () => one) };
}

/** Resolves when the prompt of the turn has arrived and the turn follows its session. */
export async function untilRunning(server: FakeOpenCode, turn: Turn): Promise<void> {
  await vi.waitFor(() => expect(server.busy).toContain(turn.sessionID));
}
