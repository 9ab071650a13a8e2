import { describe, expect, it } from 'vitest';
import {
  ClosedError,
  ConnectionError,
  FilePathError,
  OperationRefusedError,
  RemoteTurnError,
  RepoPathError,
  RequestError,
  SessionDirectoryError,
  SessionNotBoundError,
  TimeoutError,
  toProblem,
  TurnError,
  type TurnErrorReason,
} from 'jarvis-opencode';

const target = { method: 'GET', path: '/session/ses_1' };
const turn = (reason: TurnErrorReason): TurnError =>
  new TurnError({ reason, sessionID: 'ses_1', messageID: 'msg_1' });

describe('toProblem()', () => {
  it.each<[Error, number, string]>([
    [new RequestError({ ...target, status: 404 }), 404, 'Not Found'],
    [new RequestError({ ...target, status: 401 }), 502, 'Bad Gateway'],
    [new RequestError({ ...target, status: 500 }), 502, 'Bad Gateway'],
    [new ConnectionError(target), 503, 'Service Unavailable'],
    [new TimeoutError('Work', { phase: 'request', timeoutMs: 5 }), 504, 'Gateway Timeout'],
    [new RepoPathError('/srv', 'not-found'), 404, 'Not Found'],
    [new FilePathError('a.ts', 'not-found'), 404, 'Not Found'],
    [new FilePathError('a.ts', 'outside'), 422, 'Unprocessable Content'],
    [new RepoPathError('/srv', 'owner'), 422, 'Unprocessable Content'],
    [new SessionDirectoryError({ sessionID: 'ses_1', expected: '/a', found: '/b' }), 409, 'Conflict'],
    [new SessionNotBoundError('chat'), 404, 'Not Found'],
    [new OperationRefusedError({ ...target, why: 'no', instead: 'that' }), 403, 'Forbidden'],
    [new ClosedError(), 503, 'Service Unavailable'],
    [turn('aborted'), 409, 'Conflict'],
    [turn('stalled'), 504, 'Gateway Timeout'],
    [turn('interrupted'), 503, 'Service Unavailable'],
    [turn('provider'), 502, 'Bad Gateway'],
  ])('gives %s the status %d', (error, status, title) => {
    expect(toProblem(error)).toMatchObject({ type: 'about:blank', status, title, detail: error.message });
  });

  it('names the code, and the reason where there is one', () => {
    expect(toProblem(turn('stalled'))).toMatchObject({ code: 'TURN_FAILED', reason: 'stalled' });
    expect(toProblem(new ClosedError())).not.toHaveProperty('reason');
  });

  it.each([
    [{ status: 409, detail: 'No luck.' }, 409, 'Conflict', 'The turn failed: No luck.'],
    [{ status: 418, detail: 'No luck.' }, 418, 'Client Error', 'The turn failed: No luck.'],
    [{ status: 599, detail: 'No luck.' }, 599, 'Server Error', 'The turn failed: No luck.'],
    [{ status: 200, detail: 'No luck.' }, 502, 'Bad Gateway', 'The turn failed: No luck.'],
    [{ status: 600, detail: '' }, 502, 'Bad Gateway', 'The turn failed.'],
    [{ status: 404.5, detail: {} }, 502, 'Bad Gateway', 'The turn failed.'],
    [{ status: '404', title: 5 }, 502, 'Bad Gateway', 'The turn failed.'],
    [{}, 502, 'Bad Gateway', 'The turn failed.'],
  ])(
    'makes a problem that can be answered with of the problem %o of a remote turn',
    (remote, status, title, detail) => {
      expect(toProblem(new RemoteTurnError(remote as never))).toMatchObject({ status, title, detail });
    },
  );

  it.each([new Error('password hunter2'), 'password hunter2', undefined, { message: 'hunter2' }])(
    'says nothing about an error of others: %s',
    (error) => {
      expect(toProblem(error)).toEqual({
        type: 'about:blank',
        title: 'Internal Server Error',
        status: 500,
        detail: 'The server failed.',
      });
    },
  );
});
