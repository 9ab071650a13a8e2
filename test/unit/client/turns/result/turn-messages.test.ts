import { describe, expect, it } from 'vitest';
import type { AssistantMessage, Message, Part, UserMessage } from 'jarvis-opencode';
import { answersOf } from '../../../../../src/client/turns/result/turn-messages.js';

const sessionID = 'ses_1';
const ids = { sessionID, messageID: '', id: '' };
const compaction = (overflow = false): Part => ({ ...ids, type: 'compaction', auto: true, overflow });
const asked: Part = { ...ids, type: 'compaction', auto: false };
const own: Part = { ...ids, type: 'text', text: 'x' };
const made: Part = { ...ids, type: 'text', text: 'Continue', synthetic: true };

/** A user message, stored at `created`. */
function user(id: string, created: number, ...parts: Part[]): Message {
  const info = { id, sessionID, role: 'user', time: { created } } as UserMessage;
  return { info, parts: parts.map((part) => ({ ...part, messageID: id })) };
}

/** An answer, from `created` to `created + 5`. */
function answer(id: string, parentID: string, created: number, more: object = {}): Message {
  const info = {
    id,
    sessionID,
    parentID,
    role: 'assistant',
    time: { created, completed: created + 5 },
    finish: 'stop',
    ...more,
  } as AssistantMessage;
  return { info, parts: [] };
}

const tools = { finish: 'tool-calls' };
const failed = { error: { name: 'UnknownError' as const, data: { message: '' } } };
const PROMPT = user('ours', 10, own);

describe('the answers of a turn', () => {
  it.each<readonly [string, readonly Message[], readonly string[]]>([
    ['are none as long as it is not stored', [user('u', 1, own), answer('a', 'u', 2)], []],
    [
      'are those to its prompt',
      [
        user('u', 1, own),
        answer('a', 'u', 2),
        PROMPT,
        answer('b', 'ours', 11, tools),
        answer('c', 'ours', 20),
      ],
      ['b', 'c'],
    ],
    [
      'are those to what was prompted while its tools ran',
      [
        PROMPT,
        answer('a', 'ours', 11, tools),
        user('u', 13, own),
        answer('b', 'u', 20, tools),
        answer('c', 'u', 30),
      ],
      ['a', 'b', 'c'],
    ],
    [
      'are those to what was prompted before they had begun',
      [PROMPT, user('u', 11, own), answer('a', 'u', 12)],
      ['a'],
    ],
    [
      'are those to the last of several that were prompted meanwhile',
      [PROMPT, answer('a', 'ours', 11, tools), user('u', 12, own), user('v', 13, own), answer('b', 'v', 20)],
      ['a', 'b'],
    ],
    [
      'are not those to what was prompted while it gave its last one',
      [PROMPT, answer('a', 'ours', 11), user('u', 13, own), answer('b', 'u', 20)],
      ['a'],
    ],
    [
      'are not those to what was prompted after it ended with a tool that was refused',
      [PROMPT, answer('a', 'ours', 11, tools), user('u', 17, own), answer('b', 'u', 20)],
      ['a'],
    ],
    [
      'are not those to what was prompted after it failed',
      [PROMPT, answer('a', 'ours', 11, { ...tools, ...failed }), user('u', 13, own), answer('b', 'u', 20)],
      ['a'],
    ],
    [
      'are not those to what was prompted after it was cut off',
      [
        PROMPT,
        answer('a', 'ours', 11, { ...tools, time: { created: 11 } }),
        user('u', 13, own),
        answer('b', 'u', 20),
      ],
      ['a'],
    ],
    [
      'go on after a compaction',
      [
        PROMPT,
        answer('a', 'ours', 11),
        user('c', 17, compaction()),
        answer('b', 'c', 18, { summary: true }),
        user('d', 25, made),
        answer('e', 'd', 26),
      ],
      ['a', 'b', 'e'],
    ],
    [
      'go on after a compaction with the prompt that had not fitted',
      [
        PROMPT,
        answer('a', 'ours', 11, { finish: undefined }),
        user('c', 17, compaction(true)),
        answer('b', 'c', 18, { summary: true }),
        user('d', 25, own),
        answer('e', 'd', 26),
        user('u', 40, own),
        answer('f', 'u', 41),
      ],
      ['a', 'b', 'e'],
    ],
    [
      'are not those to what was prompted after a compaction, which fitted',
      [
        PROMPT,
        answer('a', 'ours', 11),
        user('c', 17, compaction()),
        answer('b', 'c', 18, { summary: true }),
        user('u', 25, own),
        answer('e', 'u', 26),
      ],
      ['a', 'b'],
    ],
    [
      'are not the summary that somebody asked for afterwards',
      [PROMPT, answer('a', 'ours', 11), user('c', 17, asked), answer('b', 'c', 18, { summary: true })],
      ['a'],
    ],
    [
      'are not those of the compaction of a later turn',
      [
        PROMPT,
        answer('a', 'ours', 11),
        user('u', 17, own),
        user('c', 18, compaction()),
        answer('b', 'c', 19, { summary: true }),
        user('d', 25, made),
        answer('e', 'd', 26),
      ],
      ['a'],
    ],
    [
      'go on after a subtask with what the server prompts itself',
      [PROMPT, answer('a', 'ours', 11, tools), user('d', 17, made), answer('b', 'd', 18)],
      ['a', 'b'],
    ],
    [
      'are not those to what the server prompts itself after the end',
      [PROMPT, answer('a', 'ours', 11), user('d', 17, made), answer('b', 'd', 18)],
      ['a'],
    ],
  ])('selects the answers of a turn: they %s', (_what, messages, expected) => {
    expect(answersOf('ours', messages).map(({ info }) => info.id)).toEqual(expected);
  });
});
