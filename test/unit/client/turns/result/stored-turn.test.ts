import { describe, expect, it } from 'vitest';
import type { AssistantMessage, Message, Part, UserMessage } from 'jarvis-opencode';
import {
  answeredPromptOf,
  reachesBeyond,
  runningPromptOf,
} from '../../../../../src/client/turns/result/stored-turn.js';

const sessionID = 'ses_1';
const ids = { sessionID, messageID: '', id: '' };
const own: Part = { ...ids, type: 'text', text: 'x' };
const made: Part = { ...ids, type: 'text', text: 'Continue', synthetic: true };
const compaction: Part = { ...ids, type: 'compaction', auto: true };
const asked: Part = { ...ids, type: 'compaction', auto: false };

function user(id: string, created: number, ...parts: Part[]): Message {
  const info = { id, sessionID, role: 'user', time: { created } } as UserMessage;
  return { info, parts: parts.map((part) => ({ ...part, messageID: id })) };
}

function answer(id: string, parentID: string, created: number, more: object = {}): Message {
  const time = { created, completed: created + 5 };
  const info = { id, sessionID, parentID, role: 'assistant', time, finish: 'stop', ...more };
  return { info: info as AssistantMessage, parts: [] };
}

const tools = { finish: 'tool-calls' };
const summary = { summary: true };
const open = { finish: undefined, time: { created: 0 } };
const BEFORE = [user('before', 1, own), answer('z', 'before', 2)];

describe('the prompt that a session works on', () => {
  it.each<readonly [string, readonly Message[], string | undefined]>([
    ['is not known before it is stored', [], undefined],
    ['is the newest one without an answer', [...BEFORE, user('u', 10, own)], 'u'],
    ['is the one that is being answered', [...BEFORE, user('u', 10, own), answer('a', 'u', 11, open)], 'u'],
    [
      'is the one that began the turn, when another was prompted while the model answers',
      [...BEFORE, user('u', 10, own), answer('a', 'u', 11, open), user('v', 12, own)],
      'u',
    ],
    [
      'is the one that began the turn, when another was prompted while a tool ran',
      [...BEFORE, user('u', 10, own), answer('a', 'u', 11, tools), user('v', 13, own)],
      'u',
    ],
    [
      'is the newest one, when the turn before it ended with a tool',
      [...BEFORE, user('u', 10, own), answer('a', 'u', 11, tools), user('v', 30, own)],
      'v',
    ],
    [
      'is the one before a compaction that the server made in the turn',
      [
        ...BEFORE,
        user('u', 10, own),
        answer('a', 'u', 11, tools),
        user('c', 17, compaction),
        answer('s', 'c', 18, summary),
        user('go on', 24, made),
      ],
      'u',
    ],
    [
      'is the newest one after a summary that was asked for',
      [...BEFORE, user('c', 10, asked), answer('s', 'c', 11, summary), user('u', 30, own)],
      'u',
    ],
    ['is that of the last answer, which was stored a moment ago', BEFORE, 'before'],
  ])('%s', (_what, messages, expected) => {
    expect(runningPromptOf(messages)).toBe(expected);
  });
});

describe('the prompt that was answered last', () => {
  it.each<readonly [string, readonly Message[], string | undefined]>([
    ['is none without an answer', [user('u', 1, own)], undefined],
    ['leaves out context that was only stored', [...BEFORE, user('u', 10, own)], 'before'],
    ['leaves out a summary', [...BEFORE, user('c', 10, asked), answer('s', 'c', 11, summary)], 'before'],
    [
      'is the first of several that one turn has read',
      [...BEFORE, user('u', 10, own), answer('a', 'u', 11, tools), user('v', 13, own), answer('b', 'v', 20)],
      'u',
    ],
  ])('%s', (_what, messages, expected) => {
    expect(answeredPromptOf(messages)).toBe(expected);
  });
});

it('knows whether an earlier message can belong to a turn', () => {
  expect(reachesBeyond(BEFORE, 'before')).toBe(false);
  expect(reachesBeyond([...BEFORE, user('u', 10, own)], 'u')).toBe(true);
  expect(reachesBeyond([answer('z', 'gone', 2), user('u', 10, own)], 'u')).toBe(false);
  expect(reachesBeyond(BEFORE, undefined)).toBe(false);
});
