import { describe, expectTypeOf, it } from 'vitest';
import type {
  AssistantMessage,
  DirectoryChange,
  EventOf,
  EventOptions,
  EventProperties,
  EventStream,
  EventType,
  GapReason,
  JarvisOpenCode,
  MessageInfo,
  OpenCodeEvent,
  Part,
  AskOutcome,
  PermissionAsk,
  PermissionRequest,
  QuestionAsk,
  QuestionRequest,
  RepoClient,
  ServerNews,
  Session,
  SessionInfo,
  SessionStatus,
  TextPart,
  Tokens,
  ToolPart,
  ToolState,
  Turn,
  TurnResult,
  TurnStep,
  UserMessage,
} from 'jarvis-opencode';

declare const jarvis: JarvisOpenCode;
declare const repo: RepoClient;
declare const session: Session;
declare const event: OpenCodeEvent;
declare const turn: Turn;
declare const step: TurnStep;
/** What every subscriber gets besides the types it has chosen. */
type Own = 'jarvis.gap' | 'jarvis.server';

/** What a `for await` loop over it yields. */
declare function itemOf<T>(iterable: AsyncIterable<T>): T;

describe('an event', () => {
  it('has the same frame whatever its type', () => {
    expectTypeOf(event.directory).toEqualTypeOf<string | undefined>();
    expectTypeOf(event.id).toEqualTypeOf<string>();
    expectTypeOf(event.type).toEqualTypeOf<EventType>();
  });

  it('narrows by its type', () => {
    switch (event.type) {
      case 'session.created':
        expectTypeOf(event.properties.info).toEqualTypeOf<SessionInfo>();
        break;
      case 'session.status':
        expectTypeOf(event.properties.status).toEqualTypeOf<SessionStatus>();
        break;
      case 'message.updated':
        expectTypeOf(event.properties.info).toEqualTypeOf<MessageInfo>();
        break;
      case 'message.part.updated':
        expectTypeOf(event.properties.part).toEqualTypeOf<Part>();
        break;
      case 'message.part.delta':
        expectTypeOf(event.properties.delta).toEqualTypeOf<string>();
        break;
      case 'permission.asked':
        expectTypeOf(event.properties).toEqualTypeOf<PermissionRequest>();
        break;
      case 'question.asked':
        expectTypeOf(event.properties).toEqualTypeOf<QuestionRequest>();
        break;
      case 'jarvis.gap':
        expectTypeOf(event.properties.reason).toEqualTypeOf<GapReason>();
        expectTypeOf(event.properties.dropped).toEqualTypeOf<number>();
        expectTypeOf(event.properties.changed).toEqualTypeOf<readonly DirectoryChange[]>();
        break;
      default:
        expectTypeOf(event).not.toBeNever();
    }
  });

  it('does not give away the properties of one type for another', () => {
    // @ts-expect-error not every event has it
    void event.properties.info;
    if (event.type === 'session.idle') {
      // @ts-expect-error this one has none
      void event.properties.info;
    }
  });

  it('of one type is what OpenCodeEvent narrows to', () => {
    expectTypeOf<Extract<OpenCodeEvent, { type: 'session.idle' }>>().toEqualTypeOf<EventOf<'session.idle'>>();
    expectTypeOf<OpenCodeEvent['type']>().toEqualTypeOf<keyof EventProperties>();
  });

  it('narrows a status by its own type', () => {
    if (event.type !== 'session.status' || event.properties.status.type !== 'retry') return;
    expectTypeOf(event.properties.status.attempt).toEqualTypeOf<number>();
    expectTypeOf(event.properties.status.next).toEqualTypeOf<number>();
  });
});

describe('events()', () => {
  it('yields every type without a choice', () => {
    // @ts-expect-error there is no one instance to hold
    jarvis.events({ hold: true });
    expectTypeOf(itemOf(repo.events({ hold: true }))).toEqualTypeOf<OpenCodeEvent>();
    expectTypeOf(itemOf(jarvis.events())).toEqualTypeOf<OpenCodeEvent>();
    expectTypeOf(itemOf(repo.events())).toEqualTypeOf<OpenCodeEvent>();
    expectTypeOf(itemOf(session.events())).toEqualTypeOf<OpenCodeEvent>();
    const options = { sessionID: 'ses_1', bufferSize: 5, bufferBytes: 1_000 };
    expectTypeOf(itemOf(jarvis.events(options))).toEqualTypeOf<OpenCodeEvent>();
  });

  it('yields the chosen types, and those of the library, which are always delivered', () => {
    const one = itemOf(repo.events({ types: ['session.idle'] }));
    expectTypeOf(one.type).toEqualTypeOf<'session.idle' | Own>();
    const two = itemOf(jarvis.events({ types: ['session.status', 'message.part.delta'] }));
    expectTypeOf(two.type).toEqualTypeOf<'session.status' | 'message.part.delta' | Own>();
    const own = itemOf(session.events({ types: ['session.idle'] }));
    expectTypeOf(own.type).toEqualTypeOf<'session.idle' | Own>();
  });

  it('narrows the chosen types among themselves', async () => {
    for await (const chosen of jarvis.events({ types: ['session.status', 'message.part.delta'] })) {
      if (chosen.type === 'session.status') {
        expectTypeOf(chosen.properties.status).toEqualTypeOf<SessionStatus>();
      } else if (chosen.type === 'message.part.delta') {
        expectTypeOf(chosen.properties.delta).toEqualTypeOf<string>();
      } else if (chosen.type === 'jarvis.gap') {
        expectTypeOf(chosen.properties.reason).toEqualTypeOf<GapReason>();
      } else {
        expectTypeOf(chosen.properties).toEqualTypeOf<ServerNews>();
      }
    }
  });

  it('takes a constant list', () => {
    const types = ['session.idle', 'session.error'] as const;
    expectTypeOf(itemOf(repo.events({ types })).type).toEqualTypeOf<'session.idle' | 'session.error' | Own>();
  });

  it('knows no type that does not exist', () => {
    // @ts-expect-error a misspelt type would never arrive
    repo.events({ types: ['session.idel'] });
    // @ts-expect-error a misspelt option is no option
    repo.events({ type: ['session.idle'] });
    expectTypeOf<EventOptions['types']>().toEqualTypeOf<readonly EventType[] | undefined>();
  });

  it('returns what can be waited for and closed', () => {
    const stream = repo.events();
    expectTypeOf(stream).toEqualTypeOf<EventStream>();
    expectTypeOf(stream).toExtend<AsyncDisposable>();
    expectTypeOf(stream.ready).toEqualTypeOf<Promise<void>>();
    expectTypeOf(stream.close()).toEqualTypeOf<Promise<void>>();
  });
});

describe('a turn', () => {
  it('yields steps and has a result', () => {
    expectTypeOf(itemOf(turn)).toEqualTypeOf<TurnStep>();
    expectTypeOf(turn.result).toEqualTypeOf<Promise<TurnResult>>();
    expectTypeOf(turn.abort()).toEqualTypeOf<Promise<void>>();
    expectTypeOf(itemOf(turn.text)).toEqualTypeOf<string>();
    expectTypeOf(turn.toResponse({ heartbeatMs: false })).toEqualTypeOf<Response>();
    // @ts-expect-error no such option
    turn.toResponse({ heartbeat: 1 });
    expectTypeOf(session.prompt('a')).toEqualTypeOf<Promise<TurnResult>>();
  });

  it('tells its steps apart by their type', () => {
    expectTypeOf(step.type).toEqualTypeOf<
      | 'message'
      | 'text'
      | 'reasoning'
      | 'tool'
      | 'permission'
      | 'question'
      | 'waiting'
      | 'child'
      | 'retry'
      | 'usage'
      | 'dropped'
    >();
    switch (step.type) {
      case 'message':
        expectTypeOf(step).toEqualTypeOf<{ readonly type: 'message'; readonly messageID: string }>();
        break;
      case 'text':
      case 'reasoning':
        expectTypeOf(step.delta).toEqualTypeOf<string>();
        break;
      case 'tool':
        expectTypeOf(step.tool).toEqualTypeOf<string>();
        expectTypeOf(step.status).toEqualTypeOf<'pending' | 'running' | 'completed' | 'error'>();
        expectTypeOf(step.output).toEqualTypeOf<string | undefined>();
        break;
      case 'permission':
        expectTypeOf(step).toEqualTypeOf<PermissionAsk>();
        expectTypeOf(step.request).toEqualTypeOf<PermissionRequest>();
        expectTypeOf(step.allow()).toEqualTypeOf<Promise<AskOutcome>>();
        // @ts-expect-error what is asked is permission
        void step.answer([['red']]);
        break;
      case 'question':
        expectTypeOf(step).toEqualTypeOf<QuestionAsk>();
        expectTypeOf(step.request).toEqualTypeOf<QuestionRequest>();
        expectTypeOf(step.deny('no')).toEqualTypeOf<Promise<'answered' | 'gone'>>();
        break;
      case 'waiting':
        expectTypeOf(step.sessionID).toEqualTypeOf<string>();
        break;
      case 'child':
        expectTypeOf(step.sessionID).toEqualTypeOf<string>();
        expectTypeOf(step.status).toEqualTypeOf<'started' | 'ended'>();
        break;
      case 'retry':
        expectTypeOf(step.attempt).toEqualTypeOf<number>();
        break;
      case 'usage':
        expectTypeOf(step.tokens).toEqualTypeOf<Tokens>();
        break;
      case 'dropped':
        expectTypeOf(step.count).toEqualTypeOf<number>();
        break;
      default:
        expectTypeOf(step).toBeNever();
    }
  });

  it('has a result of the assistant', async () => {
    const result = await turn.result;
    expectTypeOf(result.message).toEqualTypeOf<AssistantMessage>();
    expectTypeOf(result.parts).toEqualTypeOf<readonly Part[]>();
    expectTypeOf(result.text).toEqualTypeOf<string>();
    expectTypeOf(result.cost).toEqualTypeOf<number>();
    expectTypeOf(result.tokens).toEqualTypeOf<Tokens>();
    // @ts-expect-error a result is what it is
    result.text = 'another';
  });
});

describe('messages and parts', () => {
  it('narrow by role', () => {
    const info = {} as MessageInfo;
    if (info.role === 'user') expectTypeOf(info).toEqualTypeOf<UserMessage>();
    else expectTypeOf(info).toEqualTypeOf<AssistantMessage>();
  });

  it('narrow by type', () => {
    const part = {} as Part;
    if (part.type === 'text') expectTypeOf(part).toEqualTypeOf<TextPart>();
    if (part.type === 'tool') {
      expectTypeOf(part).toEqualTypeOf<ToolPart>();
      expectTypeOf(part.state).toEqualTypeOf<ToolState>();
      if (part.state.status === 'completed') expectTypeOf(part.state.output).toEqualTypeOf<string>();
      if (part.state.status === 'error') expectTypeOf(part.state.error).toEqualTypeOf<string>();
    }
  });
});
