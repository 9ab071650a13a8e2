import { describe, expect, it } from 'vitest';
import {
  ConnectionError,
  type AssistantMessage,
  type Part,
  type ServerErrorInfo,
  type TurnResult,
} from 'jarvis-opencode';
import type { TurnEvidence } from '../../../../../src/client/turns/result/result.js';
import { verdictOf, type TurnFacts } from '../../../../../src/client/turns/result/verdict.js';

const QUIET: TurnFacts = {
  quietMs: 60_000,
  sessionError: undefined,
  isAborted: false,
  isDisposed: false,
  hadGap: false,
  sendError: undefined,
  isUnderWay: false,
};
const sendError = new ConnectionError({ method: 'POST', path: '/session/ses_1/prompt_async' });
const broken: ServerErrorInfo = { name: 'UnknownError', data: { message: 'no such directory' } };
const refused: ServerErrorInfo = { name: 'APIError', data: { message: 'no credit', isRetryable: false } };
const noStructure: ServerErrorInfo = {
  name: 'StructuredOutputError',
  data: { message: 'no object', retries: 0 },
};
const cut: ServerErrorInfo = { name: 'MessageAbortedError', data: { message: 'Aborted' } };

function answered(message: Partial<AssistantMessage>, tools: readonly string[] = []): TurnEvidence {
  const parts = tools.map((status) => ({ type: 'tool', state: { status } }) as unknown as Part);
  return {
    kind: 'answered',
    result: { message, parts } as unknown as TurnResult,
    endsInSummary: false,
    isFinal: true,
  };
}
const full = answered({ finish: 'stop' });
const called = answered({ finish: 'tool-calls' }, ['completed']);
const summarized: TurnEvidence = { ...called, endsInSummary: true } as TurnEvidence;
const unfinished: TurnEvidence = { kind: 'unfinished' };
const unanswered: TurnEvidence = { kind: 'unanswered' };
const notStored: TurnEvidence = { kind: 'not-stored' };
const error = (info: ServerErrorInfo): TurnEvidence => ({ kind: 'error', error: info });

const wait = { kind: 'wait' };
const failed = (reason: string, serverError?: ServerErrorInfo): object => ({
  kind: 'failed',
  reason,
  ...(serverError && { serverError }),
});

describe('the verdict on the turn of an idle session', () => {
  it.each<readonly [string, TurnEvidence, Partial<TurnFacts>, object]>([
    // An answer.
    ['an answer that has stopped', full, {}, { kind: 'answered' }],
    ['an answer that has stopped after an abort', full, { isAborted: true }, { kind: 'answered' }],
    [
      'an answer that has stopped before an error of the session',
      full,
      { sessionError: broken },
      { kind: 'answered' },
    ],
    ['an answer without a reason to stop', answered({}), {}, { kind: 'answered' }],
    [
      'the same with an error of the session',
      answered({}),
      { sessionError: broken },
      failed('failed', broken),
    ],
    ['a tool that was refused', answered({ finish: 'tool-calls' }, ['error']), {}, { kind: 'answered' }],
    [
      'a structure',
      answered({ finish: 'tool-calls', structured: {} }, ['completed']),
      {},
      { kind: 'answered' },
    ],
    ['tools, and the model is not called again, yet', called, { quietMs: 100 }, wait],
    ['tools, and the model is not called again', called, {}, { kind: 'answered' }],
    ['tools, then an error of the session', called, { sessionError: broken }, failed('failed', broken)],
    ['tools, then an abort', called, { isAborted: true }, failed('aborted')],
    ['tools, then a disposal', called, { isDisposed: true }, failed('interrupted')],
    ['tools, then a gap', called, { hadGap: true }, failed('interrupted')],
    ['tools, then a summary', summarized, {}, failed('unfinished')],
    ['tools, then a summary a moment ago', summarized, { quietMs: 100 }, wait],
    ['tools, then a summary and a disposal', summarized, { isDisposed: true }, failed('interrupted')],
    ['tools, then an abort and a disposal', called, { isAborted: true, isDisposed: true }, failed('aborted')],
    ['a summary instead of an answer', { kind: 'summarized' }, { quietMs: 0 }, failed('summarized')],
    // An error on the message.
    ['an error', error(refused), {}, failed('provider', refused)],
    [
      'an answer that is not the object that was asked for',
      error(noStructure),
      { quietMs: 0 },
      { ...failed('format', noStructure), issues: [{ path: '', message: 'no object' }] },
    ],
    ['an error after a disposal', error(broken), { isDisposed: true }, failed('failed', broken)],
    ['a message that was cut off a moment ago', error(cut), { quietMs: 100 }, wait],
    ['a message that was cut off', error(cut), {}, failed('aborted', cut)],
    ['the same by a disposal', error(cut), { quietMs: 0, isDisposed: true }, failed('interrupted', cut)],
    ['the same by us', error(cut), { quietMs: 0, isAborted: true }, failed('aborted', cut)],
    [
      'the same by us, then a disposal',
      error(cut),
      { isAborted: true, isDisposed: true },
      failed('aborted', cut),
    ],
    [
      'the same by an error of the session',
      error(cut),
      { sessionError: refused },
      failed('provider', refused),
    ],
    [
      'the same by us, then an error of the session',
      error(cut),
      { isAborted: true, sessionError: refused },
      failed('aborted', cut),
    ],
    // No end.
    ['no end yet', unfinished, { quietMs: 4_000 }, wait],
    ['no end', unfinished, {}, failed('unfinished')],
    ['no end after an abort', unfinished, { isAborted: true }, failed('aborted')],
    ['no end, and an abort a moment ago', unfinished, { quietMs: 4_000, isAborted: true }, wait],
    [
      'no end, and an abort before a disposal a moment ago',
      unfinished,
      { quietMs: 3_000, isAborted: true, isDisposed: true },
      wait,
    ],
    ['no end, and a disposal a moment ago', unfinished, { quietMs: 2_000, isDisposed: true }, wait],
    ['no end after a disposal', unfinished, { quietMs: 3_000, isDisposed: true }, failed('interrupted')],
    ['no end after a gap', unfinished, { hadGap: true }, failed('interrupted')],
    ['no end, and an error a moment ago', unfinished, { quietMs: 100, sessionError: broken }, wait],
    ['no end, and an error', unfinished, { quietMs: 600, sessionError: broken }, failed('failed', broken)],
    ['no end, and an abort by others', unfinished, { sessionError: cut }, failed('aborted', cut)],
    [
      'the same by a disposal',
      unfinished,
      { sessionError: cut, isDisposed: true },
      failed('interrupted', cut),
    ],
    // No answer.
    ['no answer yet', unanswered, { quietMs: 14_000 }, wait],
    ['no answer', unanswered, {}, failed('not-started')],
    [
      'no answer, and an error',
      unanswered,
      { quietMs: 600, sessionError: refused },
      failed('provider', refused),
    ],
    ['no answer, and an error a moment ago', unanswered, { quietMs: 100, sessionError: refused }, wait],
    ['no answer, and an abort a moment ago', unanswered, { quietMs: 2_000, isAborted: true }, wait],
    ['no answer, and a disposal a moment ago', unanswered, { quietMs: 2_000, isDisposed: true }, wait],
    ['no answer after an abort', unanswered, { quietMs: 3_000, isAborted: true }, failed('aborted')],
    ['no answer after a disposal', unanswered, { quietMs: 3_000, isDisposed: true }, failed('interrupted')],
    ['no prompt yet', notStored, { quietMs: 14_000 }, wait],
    ['no prompt', notStored, {}, failed('not-started')],
    ['no prompt while it is under way', notStored, { isUnderWay: true }, wait],
    [
      'no prompt while it is under way, and an abort',
      notStored,
      { quietMs: 3_000, isUnderWay: true, isAborted: true },
      failed('aborted'),
    ],
    ['no prompt, and an error', notStored, { quietMs: 600, sessionError: broken }, failed('failed', broken)],
    ['no prompt whose connection broke a moment ago', notStored, { quietMs: 4_000, sendError }, wait],
    ['no prompt whose connection broke', notStored, { sendError }, { kind: 'not-sent', error: sendError }],
    [
      'no prompt whose connection broke, and an abort',
      notStored,
      { sendError, isAborted: true },
      failed('aborted'),
    ],
    ['no answer while the request is under way', unanswered, { isUnderWay: true }, failed('not-started')],
    ['a prompt that arrived though its connection broke', unanswered, { sendError }, failed('not-started')],
  ])('judges the turn of an idle session: %s', (_what, evidence, facts, verdict) => {
    expect(verdictOf(evidence, { ...QUIET, ...facts })).toMatchObject(verdict);
  });
});
