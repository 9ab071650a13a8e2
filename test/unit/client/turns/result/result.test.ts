import { describe, expect, it } from 'vitest';
import type { Part } from 'jarvis-opencode';
import type { RepoTransport } from '../../../../../src/client/http/repo-transport.js';
import {
  isBetweenCalls,
  readTurn,
  type TurnEvidence,
} from '../../../../../src/client/turns/result/result.js';

const sessionID = 'ses_1';
const TURN = { sessionID, messageID: 'msg_1' };
const PROMPT = { info: { id: 'msg_1', sessionID, role: 'user', time: { created: 1 } }, parts: [] };

const spent = (input: number): object => ({ input, output: 1, reasoning: 2, cache: { read: 3, write: 4 } });

function text(content: string, more: object = {}): Part {
  return { id: `prt_${content}`, messageID: 'msg_2', sessionID, type: 'text', text: content, ...more };
}

function answer(more: object = {}, parts: readonly Part[] = [text('ok')]): object {
  const info = { id: 'msg_2', sessionID, role: 'assistant', parentID: 'msg_1', finish: 'stop' };
  const times = { time: { created: 2, completed: 3 }, cost: 0.5, tokens: spent(10) };
  return { info: { ...info, ...times, ...more }, parts };
}

/** What is read of a server that stores these messages, and how often it was asked for them. */
async function read(
  messages: readonly object[],
  status: object = {},
): Promise<{ readonly evidence: TurnEvidence | undefined; readonly limits: readonly number[] }> {
  const limits: number[] = [];
  const transport = {
    send: () => Promise.resolve(status),
    sendPage: ({ query }: { readonly query: { readonly limit: number } }) => {
      limits.push(query.limit);
      return Promise.resolve({ items: messages.slice(-query.limit) });
    },
  } as unknown as RepoTransport;
  return { evidence: await readTurn(transport, TURN), limits };
}

describe('how a turn ended', () => {
  it.each([{ type: 'busy' }, { type: 'retry', attempt: 1, message: '', next: 1 }])(
    'reads no end of a turn while its session is at work: $type',
    async (status) => {
      expect((await read([PROMPT, answer()], { ses_1: status })).evidence).toBeUndefined();
      const { evidence } = await read([PROMPT, answer()], { ses_1: { type: 'idle' }, ses_2: status });
      expect(evidence).toMatchObject({ kind: 'answered' });
    },
  );

  const aborted = { name: 'MessageAbortedError', data: { message: 'Aborted' } };
  it.each<readonly [string, readonly object[], object]>([
    ['by the prompt that is not there', [answer({ parentID: 'msg_0' })], { kind: 'not-stored' }],
    ['by the prompt without an answer', [PROMPT], { kind: 'unanswered' }],
    ['by an answer without an end', [PROMPT, answer({ time: { created: 2 } })], { kind: 'unfinished' }],
    ['by an answer with an error', [PROMPT, answer({ error: aborted })], { kind: 'error', error: aborted }],
    // Aborted between two attempts to reach the provider.
    [
      'by an answer with nothing in it',
      [PROMPT, answer({ finish: undefined }, [])],
      { kind: 'error', error: aborted },
    ],
  ])('reads how a turn ended %s', async (_what, messages, evidence) => {
    expect((await read(messages)).evidence).toEqual(evidence);
  });

  it('reads the page that has the prompt, however far back that is', async () => {
    const between = Array.from({ length: 600 }, (_, index) => answer({ id: `msg_a${index}` }));
    const { evidence, limits } = await read([PROMPT, ...between]);
    expect(evidence).toMatchObject({ kind: 'answered', result: { messages: { length: 600 } } });
    expect(limits).toEqual([32, 128, 512, 2048]);
  });

  it('takes the last answer that is no summary, with the usage of all answers', async () => {
    const compaction = { id: 'prt_c', messageID: 'msg_3', sessionID, type: 'compaction', auto: true };
    const { evidence } = await read([
      PROMPT,
      answer({}, [
        text('made', { synthetic: true }),
        text('one '),
        text('hidden', { ignored: true }),
        text('two'),
      ]),
      { info: { id: 'msg_3', sessionID, role: 'user', time: { created: 4 } }, parts: [compaction] },
      answer({ id: 'msg_4', parentID: 'msg_3', summary: true, tokens: spent(20) }, [text('the summary')]),
    ]);
    expect(evidence).toMatchObject({
      result: {
        text: 'one two',
        message: { id: 'msg_2' },
        messages: { length: 2 },
        cost: 1,
        tokens: { input: 30, output: 2, reasoning: 4, cache: { read: 6, write: 8 } },
      },
    });
  });

  /** A compaction by the server, its summary, and the reply to what the server says then. */
  function compacted(reply: object, summary: object = {}): object[] {
    const compaction = { id: 'prt_c', messageID: 'msg_3', sessionID, type: 'compaction', auto: true };
    const user = { sessionID, role: 'user', time: { created: 4 } };
    return [
      { info: { ...user, id: 'msg_3' }, parts: [compaction] },
      answer({ id: 'msg_4', parentID: 'msg_3', summary: true, ...summary }, [text('the summary')]),
      {
        info: { ...user, id: 'msg_5' },
        parts: [text('Continue', { messageID: 'msg_5', synthetic: true })],
      },
      answer({ id: 'msg_6', parentID: 'msg_5', ...reply }, [text('reply')]),
    ];
  }

  it('takes the answer to the prompt, not the reply to the prompt of the server after a compaction', async () => {
    const { evidence } = await read([PROMPT, answer(), ...compacted({})]);
    expect(evidence).toMatchObject({
      kind: 'answered',
      result: { text: 'ok', transcript: 'ok\n\nreply', message: { id: 'msg_2' }, messages: { length: 3 } },
    });
  });

  it.each<readonly [string, object, object]>([
    ['fails', { error: { name: 'APIError', data: { message: 'refused' } } }, {}],
    ['has no end', { time: { created: 6 } }, {}],
  ])('keeps the answer to the prompt when the reply after a compaction %s', async (_what, reply, summary) => {
    const { evidence } = await read([PROMPT, answer(), ...compacted(reply, summary)]);
    expect(evidence).toMatchObject({ kind: 'answered', result: { text: 'ok' } });
  });

  it('takes the reply after a compaction when the session was compacted between two calls of the model', async () => {
    const { evidence } = await read([PROMPT, answer({ finish: 'tool-calls' }), ...compacted({})]);
    expect(evidence).toMatchObject({ result: { text: 'reply', transcript: 'ok\n\nreply' } });
  });

  it('takes the last message of several, with all of them in the transcript', async () => {
    const { evidence } = await read([
      PROMPT,
      answer({ finish: 'tool-calls' }, [text('Let me look.')]),
      answer({ id: 'msg_3', finish: 'tool-calls' }, []),
      answer({ id: 'msg_4' }, [text('It is '), text('fine.')]),
    ]);
    expect(evidence).toMatchObject({
      result: { text: 'It is fine.', transcript: 'Let me look.\n\nIt is fine.' },
    });
  });

  it('gives no text when the model has only called tools', async () => {
    const { evidence } = await read([PROMPT, answer({ finish: 'tool-calls' }, [])]);
    expect(evidence).toMatchObject({ kind: 'answered', result: { text: '', transcript: '' } });
  });

  it('reports a summary of the session, and no answer, when a summary was due', async () => {
    const { evidence } = await read([PROMPT, answer({ summary: true }, [text('the summary')])]);
    expect(evidence).toEqual({ kind: 'summarized' });
  });

  it.each<readonly [string, object, readonly string[], boolean]>([
    ['it has called tools', { finish: 'tool-calls' }, ['completed', 'completed'], true],
    ['one of them was refused', { finish: 'tool-calls' }, ['completed', 'error'], false],
    [
      'that is the structure it was asked for',
      { finish: 'tool-calls', structured: {} },
      ['completed'],
      false,
    ],
    ['it has stopped', {}, [], false],
  ])(
    'reports whether a turn is between two calls of the model when %s',
    async (_what, info, states, expected) => {
      const tools = states.map((status, index) => ({
        ...{ id: `prt_${index}`, messageID: 'msg_2', sessionID, type: 'tool', tool: 'bash', callID: 'c' },
        state: { status },
      }));
      const { evidence } = await read([PROMPT, answer(info, tools as unknown as Part[])]);
      if (evidence?.kind !== 'answered') throw new Error('no answer');
      expect(isBetweenCalls(evidence.result)).toBe(expected);
    },
  );
});
