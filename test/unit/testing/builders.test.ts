import {
  aFilePart,
  aMessage,
  anAssistantMessage,
  anEvent,
  aPermissionRequest,
  aPty,
  aQuestionRequest,
  aReasoningPart,
  aSession,
  aStepFinishPart,
  aStepStartPart,
  aTextPart,
  aTodo,
  aToolPart,
  aToolState,
  aUserMessage,
} from 'jarvis-opencode/testing';
import { describe, expect, it } from 'vitest';
import type * as z from 'zod';
import { permissionRequestSchema, questionRequestSchema } from '../../../src/client/schema/ask.js';
import { messageInfoSchema, messageSchema, partSchema } from '../../../src/client/schema/message.js';
import { ptySchema } from '../../../src/client/schema/pty.js';
import { sessionSchema, todoListSchema } from '../../../src/client/schema/session.js';

// What the library reads of each object; that a builder gives every field, the compiler checks.
const BUILDERS: readonly (readonly [string, () => object, z.ZodType])[] = [
  ['aSession', aSession, sessionSchema()],
  ['aUserMessage', aUserMessage, messageInfoSchema()],
  ['anAssistantMessage', anAssistantMessage, messageInfoSchema()],
  ['aMessage', aMessage, messageSchema()],
  ['aTextPart', aTextPart, partSchema()],
  ['aReasoningPart', aReasoningPart, partSchema()],
  ['aFilePart', aFilePart, partSchema()],
  ['aToolPart', aToolPart, partSchema()],
  ['aStepStartPart', aStepStartPart, partSchema()],
  ['aStepFinishPart', aStepFinishPart, partSchema()],
  ['aPermissionRequest', aPermissionRequest, permissionRequestSchema()],
  ['aQuestionRequest', aQuestionRequest, questionRequestSchema()],
  ['aPty', aPty, ptySchema()],
  ['aTodo', () => [aTodo()], todoListSchema()],
];

describe.each(BUILDERS)('%s()', (_name, build, schema) => {
  it('builds what the library reads', () => {
    expect(schema.safeParse(build()).error?.issues ?? []).toEqual([]);
  });

  it('builds another object each time, with an id of its own', () => {
    const [one, two] = [build(), build()] as { id?: string }[];
    expect(one).not.toBe(two);
    if (one?.id !== undefined) expect(one.id).not.toBe(two?.id);
  });
});

describe('builders', () => {
  it('builds the given fields', () => {
    expect(aSession({ id: 'ses_x', title: 'Mine' })).toMatchObject({ id: 'ses_x', title: 'Mine' });
    expect(anAssistantMessage({ error: { name: 'UnknownError', data: { message: 'm' } } })).toMatchObject({
      error: { data: { message: 'm' } },
    });
    expect(aToolPart({ state: aToolState('error') }).state).toMatchObject({ status: 'error' });
  });

  it('gives the parts of aMessage() the ids of the message', () => {
    const info = aUserMessage({ sessionID: 'ses_x' });
    const { parts } = aMessage(info, ['one', aToolPart()]);
    expect(parts).toMatchObject([
      { type: 'text', text: 'one', messageID: info.id, sessionID: 'ses_x' },
      { type: 'tool', messageID: info.id, sessionID: 'ses_x' },
    ]);
  });

  it('builds an event of any type', () => {
    const info = aSession();
    expect(anEvent('session.created', { sessionID: info.id, info })).toEqual({
      directory: '/repo',
      id: expect.stringMatching(/^evt_/),
      type: 'session.created',
      properties: { sessionID: info.id, info },
    });
    expect(anEvent('global.disposed', {}).directory).toBeUndefined();
  });
});
