import { aMessage, anAssistantMessage, aTextPart, aUserMessage } from 'jarvis-opencode/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/core/clock.js';
import type { SessionInfo } from '../../../../src/client/schema/session.js';
import { EventBus } from '../../../../src/testing/state/event-bus.js';
import { Ids } from '../../../../src/testing/state/ids.js';
import { SessionHistory } from '../../../../src/testing/state/session-history.js';
import { SessionStore } from '../../../../src/testing/state/session-store.js';

const scope = { directory: '/repo', projectID: 'project' };
let store: SessionStore;
let history: SessionHistory;
let session: SessionInfo;

/** Stores two prompts with their answers: msg_1 to msg_4; the second answer has the parts prt_a and prt_b. */
beforeEach(() => {
  const ids = new Ids();
  const events = new EventBus(ids, systemClock);
  store = new SessionStore(ids, events, systemClock, '1.18.33');
  history = new SessionHistory(ids, events, store);
  session = store.create(scope, { title: 'Fences' });
  const sessionID = session.id;
  const messages = [
    aMessage(aUserMessage({ id: 'msg_1', sessionID })),
    aMessage(anAssistantMessage({ id: 'msg_2', sessionID, parentID: 'msg_1' })),
    aMessage(aUserMessage({ id: 'msg_3', sessionID })),
    aMessage(anAssistantMessage({ id: 'msg_4', sessionID, parentID: 'msg_3' }), [
      aTextPart({ id: 'prt_a' }),
      aTextPart({ id: 'prt_b' }),
    ]),
  ];
  for (const { info, parts } of messages) {
    store.saveMessage(scope, info);
    for (const part of parts) store.savePart(scope, part);
  }
});

function idsIn(sessionID: string): string[] {
  return store.messages(sessionID).map(({ info }) => info.id);
}

describe('fork()', () => {
  it('copies the messages before the given one, with parents of the copy', () => {
    const copy = history.fork(scope, session, 'msg_3');
    const [prompt, answer, ...rest] = store.messages(copy.id);
    expect(rest).toEqual([]);
    expect(answer?.info).toMatchObject({ sessionID: copy.id, parentID: prompt?.info.id });
    expect(prompt?.info.id).not.toBe('msg_1');
    expect(idsIn(session.id)).toHaveLength(4);
  });

  it('copies all messages when the given one does not exist', () => {
    expect(idsIn(history.fork(scope, session, 'msg_x').id)).toHaveLength(4);
  });

  it('counts the forks in the title', () => {
    const first = history.fork(scope, session, undefined);
    expect(first.title).toBe('Fences (fork #1)');
    expect(history.fork(scope, first, undefined).title).toBe('Fences (fork #2)');
  });
});

describe('revert()', () => {
  it.each([
    ['a prompt', { messageID: 'msg_3' }, { messageID: 'msg_3' }],
    ['an answer, with its prompt', { messageID: 'msg_4' }, { messageID: 'msg_3' }],
    ['the first part, with the prompt', { messageID: 'msg_4', partID: 'prt_a' }, { messageID: 'msg_3' }],
    ['a later part alone', { messageID: 'msg_4', partID: 'prt_b' }, { messageID: 'msg_4', partID: 'prt_b' }],
    ['nothing for an unknown message', { messageID: 'msg_x' }, undefined],
    ['nothing for an unknown part', { messageID: 'msg_4', partID: 'prt_x' }, undefined],
  ])('marks %s', (_what, input, revert) => {
    history.revert(scope, session.id, input);
    expect(session.revert).toEqual(revert);
  });

  it('is undone by unrevert()', () => {
    history.revert(scope, session.id, { messageID: 'msg_3' });
    history.unrevert(scope, session);
    history.settle(scope, session);
    expect(idsIn(session.id)).toHaveLength(4);
  });
});

describe('settle()', () => {
  it('deletes the reverted messages', () => {
    history.revert(scope, session.id, { messageID: 'msg_4' });
    history.settle(scope, session);
    expect(idsIn(session.id)).toEqual(['msg_1', 'msg_2']);
    expect(session.revert).toBeUndefined();
  });

  it('deletes the reverted parts of a message', () => {
    history.revert(scope, session.id, { messageID: 'msg_4', partID: 'prt_b' });
    history.settle(scope, session);
    expect(store.message(session.id, 'msg_4')?.parts.map(({ id }) => id)).toEqual(['prt_a']);
  });
});
