import type { Agent, JarvisOpenCode, PermissionReplyInput, SessionInfo } from 'jarvis-opencode';
import type * as kit from 'jarvis-opencode/testing';
import {
  afterTools,
  anEvent,
  aSession,
  ask,
  fail,
  mockOpenCode,
  question,
  realOpenCode,
  reasoning,
  retry,
  text,
  tool,
  wait,
  type MockOpenCode,
  type MockScript,
  type MockScriptInput,
  type MockStep,
  type RealOpenCode,
} from 'jarvis-opencode/testing';
import { describe, expectTypeOf, it } from 'vitest';

declare const mock: MockOpenCode;

describe('scripts', () => {
  it('may be lists, generators and async generators of steps', () => {
    mock.script(({ prompt, session, directory }) => {
      expectTypeOf(prompt).toEqualTypeOf<string>();
      expectTypeOf(session).toEqualTypeOf<MockScriptInput['session']>();
      expectTypeOf(directory).toEqualTypeOf<string>();
      return [text('a'), reasoning('b'), tool('bash', { command: 'ls' }), ask('edit'), wait(1)];
    });
    mock.script(function* () {
      yield question('Which?', { question: 'Why?', options: ['so', 'thus'] });
      yield fail('ProviderAuthError');
    });
    mock.script(
      async function* () {
        yield text('a');
      },
      { directory: '/repo' },
    );
    expectTypeOf<() => MockStep[]>().toExtend<MockScript>();
    mock.script(() => [
      retry('busy', { afterMs: 5 }),
      afterTools((results) => {
        expectTypeOf(results[0]?.output).toEqualTypeOf<string | undefined>();
        return [text('a')];
      }),
    ]);
  });

  it('give nothing else', () => {
    // @ts-expect-error a text is no list of steps
    mock.script(() => [{ type: 'sing' }]);
    // @ts-expect-error the input of a tool is an object
    tool('bash', 'ls');
    // @ts-expect-error what goes on is steps
    afterTools(() => 'done');
    // @ts-expect-error an answer is a text
    mock.reply(3);
  });
});

describe('mockOpenCode()', () => {
  it('speaks one of the two majors', () => {
    expectTypeOf(mockOpenCode({ opencode: 1 })).toEqualTypeOf<MockOpenCode>();
    expectTypeOf(mockOpenCode({ opencode: 2 })).toEqualTypeOf<MockOpenCode>();
    // @ts-expect-error there is no such major
    mockOpenCode({ opencode: 3 });
    expectTypeOf(mock.version).toEqualTypeOf<string>();
    mock.stream.drop(({ type }) => type === 'session.idle' || type === 'session.execution.succeeded');
    // @ts-expect-error no server sends such an event
    mock.stream.drop(({ type }) => type === 'session.idel');
  });
});

describe('mock.use()', () => {
  it('knows parameters, body and answer of an operation by its name', () => {
    mock.use('GET /session/{sessionID}', ({ params, body, directory }) => {
      expectTypeOf(params).toEqualTypeOf<Readonly<Record<'sessionID', string>>>();
      expectTypeOf(body).toEqualTypeOf<undefined>();
      expectTypeOf(directory).toEqualTypeOf<string | undefined>();
      return aSession({ id: params.sessionID });
    });
    mock.use('POST /permission/{requestID}/reply', ({ body }) => {
      expectTypeOf(body).toEqualTypeOf<PermissionReplyInput>();
      return true;
    });
    mock.use('GET /agent', async (): Promise<Agent[]> => []);
    mock.use('GET /agent', () => Response.json([], { status: 418 }));
    mock.use('PATCH /session/{sessionID}/message/{messageID}/part/{partID}', ({ params, body }) => {
      expectTypeOf(params).toEqualTypeOf<Readonly<Record<'sessionID' | 'messageID' | 'partID', string>>>();
      return body;
    });
    expectTypeOf(mock.use('GET /agent', () => [])).toEqualTypeOf<Disposable>();
  });

  it('refuses the answer of another operation', () => {
    // @ts-expect-error a list of agents is no session
    mock.use('GET /session/{sessionID}', (): Agent[] => []);
    // @ts-expect-error there is no such parameter
    mock.use('GET /session/{sessionID}', ({ params }) => aSession({ id: params.messageID }));
    // @ts-expect-error a method and a path
    mock.use('/session', () => []);
  });

  it('takes any other operation too', () => {
    mock.use('POST /tui/{name}', ({ params, body }) => {
      expectTypeOf(params.name).toEqualTypeOf<string>();
      expectTypeOf(body).toBeUnknown();
      return { any: 'thing' };
    });
  });
});

describe('the two servers', () => {
  it('are told and asked the same, and make the same clients', () => {
    type Common = Pick<
      RealOpenCode,
      'url' | 'handlers' | 'client' | 'repo' | 'reply' | 'script' | 'close' | typeof Symbol.asyncDispose
    >;
    expectTypeOf<MockOpenCode>().toExtend<Common>();
    expectTypeOf(mockOpenCode).returns.toEqualTypeOf<MockOpenCode>();
    expectTypeOf(realOpenCode).returns.resolves.toEqualTypeOf<RealOpenCode>();
    expectTypeOf(mock.client).returns.resolves.toEqualTypeOf<JarvisOpenCode>();
  });

  it('tell what they were asked', () => {
    expectTypeOf(mock.sessions()).toEqualTypeOf<SessionInfo[]>();
    expectTypeOf(mock.requests()[0]?.body).toBeUnknown();
    expectTypeOf(mock.instances()[0]?.boots).toEqualTypeOf<number | undefined>();
  });
});

describe('fixtures', () => {
  it('have the types of the library', () => {
    expectTypeOf(aSession).returns.toEqualTypeOf<SessionInfo>();
    expectTypeOf(anEvent('session.idle', { sessionID: 'ses_1' }).type).toEqualTypeOf<'session.idle'>();
    // @ts-expect-error a session has no such field
    aSession({ name: 'x' });
    // @ts-expect-error another event's properties
    anEvent('session.idle', { directory: '/repo' });
  });
});

describe('the names of the kit', () => {
  it('are these', () => {
    type Names =
      | `a${'FilePart' | 'Message' | 'PermissionRequest' | 'Pty' | 'QuestionRequest' | 'ReasoningPart' | 'Session'}`
      | `a${'StepFinishPart' | 'StepStartPart' | 'TextPart' | 'Todo' | 'ToolPart' | 'ToolState' | 'UserMessage'}`
      | `an${'AssistantMessage' | 'Event'}`
      | 'afterTools'
      | 'ask'
      | 'fail'
      | 'hang'
      | 'mockFleet'
      | 'mockOpenCode'
      | 'question'
      | 'realOpenCode'
      | 'reasoning'
      | 'retry'
      | 'empty'
      | 'subtask'
      | 'text'
      | 'tool'
      | 'usage'
      | 'wait'
      | 'waitFor';
    expectTypeOf<keyof typeof kit>().toEqualTypeOf<Names>();
  });
});
