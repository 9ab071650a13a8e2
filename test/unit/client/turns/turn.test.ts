import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Turn } from '../../../../src/client/turns/turn.js';

const aTurn = (): Turn =>
  new Turn({
    sessionID: 'ses_1',
    messageID: 'msg_1',
    collectSteps: true,
    onAbort: () => Promise.resolve(),
    onSettle: () => undefined,
  });

describe('a reader of a turn', () => {
  it.each([
    ['the turn', (turn: Turn) => turn[Symbol.asyncIterator]()],
    ['its text', (turn: Turn) => turn.text[Symbol.asyncIterator]()],
  ])('of %s ends by return() while it waits for a step', async (_what, read) => {
    const turn = aTurn();
    const reader = read(turn);
    const waiting = reader.next();
    expect(turn.hasReader).toBe(true);
    expect(await reader.return?.()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(turn.hasReader).toBe(false);
  });

  it.each([undefined, new Error('the client is gone')])(
    'ends with the stream that is made of it, destroyed with %s',
    async (error) => {
      const turn = aTurn();
      const stream = Readable.from(turn.text);
      stream.on('error', () => undefined);
      stream.resume();
      await new Promise(setImmediate);
      expect(turn.hasReader).toBe(true);
      const closed = new Promise((resolve) => stream.once('close', resolve));
      stream.destroy(error);
      await closed;
      expect(turn.hasReader).toBe(false);
    },
  );
});
