import { describe, expectTypeOf, it } from 'vitest';
import type { ClosedError } from 'jarvis-opencode';
import {
  DisposeRefusedError,
  OperationRefusedError,
  JarvisError,
  RepoPathError,
  RequestError,
  ResponseShapeError,
  ResponseTooLargeError,
  ServerStartError,
  TimeoutError,
  TurnError,
  isJarvisError,
  type AnyJarvisError,
  type Hold,
  type JarvisErrorCode,
  type RepoPathReason,
  type RequestErrorInit,
  type RequestTarget,
  type ShapeIssue,
  type TimeoutPhase,
  type TurnErrorReason,
} from 'jarvis-opencode';

declare const caught: unknown;
declare const error: AnyJarvisError;

describe('the errors', () => {
  it('have one base class, of which there is no error', () => {
    expectTypeOf<AnyJarvisError>().toExtend<JarvisError>();
    expectTypeOf<JarvisError>().toExtend<Error>();
    // @ts-expect-error it is abstract
    void new JarvisError('no');
  });

  it('are told apart by their code, each by its own', () => {
    expectTypeOf<AnyJarvisError['code']>().toEqualTypeOf<JarvisErrorCode>();
    switch (error.code) {
      case 'REQUEST_FAILED':
        expectTypeOf(error).toEqualTypeOf<RequestError>();
        break;
      case 'TURN_FAILED':
        expectTypeOf(error).toEqualTypeOf<TurnError>();
        break;
      case 'SERVER_START':
        expectTypeOf(error).toEqualTypeOf<ServerStartError>();
        break;
      default:
        expectTypeOf(error).not.toBeNever();
    }
  });

  it('are told apart by their name', () => {
    if (error.name === 'ClosedError') expectTypeOf(error).toEqualTypeOf<ClosedError>();
    if (error.name === 'TimeoutError') expectTypeOf(error).toEqualTypeOf<TimeoutError>();
  });

  it('are told apart by their class', () => {
    if (caught instanceof RequestError) {
      expectTypeOf(caught.status).toEqualTypeOf<number>();
      expectTypeOf(caught.body).toBeUnknown();
      expectTypeOf(caught.serverError).toEqualTypeOf<string | undefined>();
      expectTypeOf(caught).toExtend<RequestTarget>();
    } else if (caught instanceof TurnError) {
      expectTypeOf(caught.reason).toEqualTypeOf<TurnErrorReason>();
      if (caught.serverError?.name === 'APIError') {
        expectTypeOf(caught.serverError.data.statusCode).toEqualTypeOf<number | undefined>();
      }
    } else if (caught instanceof ServerStartError) {
      expectTypeOf(caught.exitCode).toEqualTypeOf<number | null>();
      expectTypeOf(caught.recentOutput).toEqualTypeOf<readonly string[]>();
    } else if (caught instanceof ResponseShapeError) {
      expectTypeOf(caught.issues).toEqualTypeOf<readonly ShapeIssue[]>();
    } else if (caught instanceof ResponseTooLargeError) {
      expectTypeOf(caught.maxBytes).toEqualTypeOf<number>();
    } else if (caught instanceof TimeoutError) {
      expectTypeOf(caught.phase).toEqualTypeOf<TimeoutPhase>();
      expectTypeOf(caught.timeoutMs).toEqualTypeOf<number>();
    } else if (caught instanceof RepoPathError) {
      expectTypeOf(caught.reason).toEqualTypeOf<RepoPathReason>();
    } else if (caught instanceof OperationRefusedError) {
      expectTypeOf(caught.instead).toEqualTypeOf<string>();
      expectTypeOf(caught.path).toEqualTypeOf<string>();
    } else if (caught instanceof DisposeRefusedError) {
      expectTypeOf(caught.holds).toEqualTypeOf<readonly Hold[]>();
    } else if (caught instanceof JarvisError) {
      expectTypeOf(caught.code).toEqualTypeOf<JarvisErrorCode>();
    }
  });

  it('are narrowed by isJarvisError, then by their code', () => {
    if (!isJarvisError(caught)) return;
    expectTypeOf(caught).toEqualTypeOf<AnyJarvisError>();
    if (caught.code === 'TURN_FAILED') expectTypeOf(caught.reason).toEqualTypeOf<TurnErrorReason>();
    if (caught.code === 'REQUEST_FAILED') expectTypeOf(caught.status).toEqualTypeOf<number>();
    // @ts-expect-error not every error has a reason
    void caught.reason;
    // @ts-expect-error there is no such code
    void (caught.code === 'TURN_LOST');
  });

  it('have reasons to switch over', () => {
    expectTypeOf<TurnErrorReason>().toEqualTypeOf<
      | 'aborted'
      | 'busy'
      | 'interrupted'
      | 'unfinished'
      | 'not-started'
      | 'stalled'
      | 'unreachable'
      | 'refused'
      | 'provider'
      | 'summarized'
      | 'format'
      | 'failed'
    >();
    expectTypeOf<RepoPathReason>().toEqualTypeOf<
      | 'not-absolute'
      | 'not-found'
      | 'not-a-directory'
      | 'unreadable'
      | 'invalid'
      | 'plugins'
      | 'replaced'
      | 'backslash'
      | 'too-long'
      | 'data-directory'
      | 'owner'
    >();
  });

  it('cannot be changed', () => {
    const request = new RequestError({ method: 'GET', path: '/', status: 404 } satisfies RequestErrorInit);
    // @ts-expect-error it is what the server answered
    request.status = 200;
    // @ts-expect-error it is what it is
    request.code = 'CLOSED';
    const { issues } = new ResponseShapeError({ method: 'GET', path: '/' }, []);
    // @ts-expect-error nor are its lists open
    issues.push({ path: '', message: '' });
  });
});
