import { describe, expectTypeOf, it } from 'vitest';
import type * as api from 'jarvis-opencode';
import type * as browser from '../../src/browser.js';

// A name that is added to or removed from the entry points makes this file fail: that is its purpose.

type ErrorClass =
  | 'ClosedError'
  | 'ConnectionError'
  | 'DisposeRefusedError'
  | 'JarvisError'
  | 'RepoPathError'
  | 'RequestError'
  | 'ResponseShapeError'
  | 'ServerLostError'
  | 'ServerStartError'
  | 'SessionAlreadyBoundError'
  | 'SessionDirectoryError'
  | 'SessionNotBoundError'
  | 'TimeoutError'
  | 'TurnError'
  | 'UnsupportedServerError';

type Value =
  | ErrorClass
  | 'EventStream'
  | 'GlobalResource'
  | 'JarvisOpenCode'
  | 'PermissionsResource'
  | 'QuestionsResource'
  | 'RepoClient'
  | 'SUPPORTED_SERVERS'
  | 'Session'
  | 'SessionsResource'
  | 'Turn';

/** Every exported type, by its name: a missing one does not compile, and none of them is `any`. */
interface Types {
  ActivityKind: api.ActivityKind;
  AgentPart: api.AgentPart;
  AssistantMessage: api.AssistantMessage;
  BindableSession: api.BindableSession;
  Clock: api.Clock;
  CompactionPart: api.CompactionPart;
  ConnectOptions: api.ConnectOptions;
  CreateSessionInput: api.CreateSessionInput;
  CreateSessionOptions: api.CreateSessionOptions;
  DeliveredEvent: api.DeliveredEvent<'session.idle'>;
  DisposeReason: api.DisposeReason;
  DisposeResult: api.DisposeResult;
  EventOf: api.EventOf<'session.idle'>;
  EventOptions: api.EventOptions;
  EventProperties: api.EventProperties;
  EventType: api.EventType;
  FetchFunction: api.FetchFunction;
  FilePart: api.FilePart;
  GapReason: api.GapReason;
  Health: api.Health;
  Hold: api.Hold;
  HoldKind: api.HoldKind;
  IdlePolicy: api.IdlePolicy;
  JarvisErrorCode: api.JarvisErrorCode;
  JarvisOptions: api.JarvisOptions;
  ListMessagesInput: api.ListMessagesInput;
  ListSessionsInput: api.ListSessionsInput;
  Logger: api.Logger;
  Message: api.Message;
  MessageInfo: api.MessageInfo;
  ModelRef: api.ModelRef;
  OpenCodeEvent: api.OpenCodeEvent;
  Part: api.Part;
  PatchPart: api.PatchPart;
  PathInfo: api.PathInfo;
  PermissionReplyInput: api.PermissionReplyInput;
  PermissionRequest: api.PermissionRequest;
  PermissionRule: api.PermissionRule;
  PromptInput: api.PromptInput;
  PromptPartInput: api.PromptPartInput;
  PtyInfo: api.PtyInfo;
  QuestionReplyInput: api.QuestionReplyInput;
  QuestionRequest: api.QuestionRequest;
  ReasoningPart: api.ReasoningPart;
  RepoPathReason: api.RepoPathReason;
  RepoStats: api.RepoStats;
  RequestErrorInit: api.RequestErrorInit;
  RequestOptions: api.RequestOptions;
  RequestTarget: api.RequestTarget;
  RetryPart: api.RetryPart;
  ServerErrorInfo: api.ServerErrorInfo;
  ServerEvents: api.ServerEvents;
  ServerExit: api.ServerExit;
  ServerHandle: api.ServerHandle;
  ServerState: api.ServerState;
  SessionBinding: api.SessionBinding;
  SessionInfo: api.SessionInfo;
  SessionMap: api.SessionMap;
  SessionStatus: api.SessionStatus;
  ShapeIssue: api.ShapeIssue;
  SnapshotPart: api.SnapshotPart;
  StepFinishPart: api.StepFinishPart;
  StepStartPart: api.StepStartPart;
  StopOptions: api.StopOptions;
  SubtaskPart: api.SubtaskPart;
  TextPart: api.TextPart;
  TimeoutPhase: api.TimeoutPhase;
  Timer: api.Timer;
  Tokens: api.Tokens;
  ToolPart: api.ToolPart;
  ToolState: api.ToolState;
  TurnErrorReason: api.TurnErrorReason;
  TurnLimits: api.TurnLimits;
  TurnOptions: api.TurnOptions;
  TurnResult: api.TurnResult;
  TurnStep: api.TurnStep;
  UserMessage: api.UserMessage;
}

interface NodeTypes {
  ServerOptions: api.ServerOptions;
  StartOptions: api.StartOptions;
}

/** The same types through the browser's entry point. */
interface BrowserTypes {
  ActivityKind: browser.ActivityKind;
  AgentPart: browser.AgentPart;
  AssistantMessage: browser.AssistantMessage;
  BindableSession: browser.BindableSession;
  Clock: browser.Clock;
  CompactionPart: browser.CompactionPart;
  ConnectOptions: browser.ConnectOptions;
  CreateSessionInput: browser.CreateSessionInput;
  CreateSessionOptions: browser.CreateSessionOptions;
  DeliveredEvent: browser.DeliveredEvent<'session.idle'>;
  DisposeReason: browser.DisposeReason;
  DisposeResult: browser.DisposeResult;
  EventOf: browser.EventOf<'session.idle'>;
  EventOptions: browser.EventOptions;
  EventProperties: browser.EventProperties;
  EventType: browser.EventType;
  FetchFunction: browser.FetchFunction;
  FilePart: browser.FilePart;
  GapReason: browser.GapReason;
  Health: browser.Health;
  Hold: browser.Hold;
  HoldKind: browser.HoldKind;
  IdlePolicy: browser.IdlePolicy;
  JarvisErrorCode: browser.JarvisErrorCode;
  JarvisOptions: browser.JarvisOptions;
  ListMessagesInput: browser.ListMessagesInput;
  ListSessionsInput: browser.ListSessionsInput;
  Logger: browser.Logger;
  Message: browser.Message;
  MessageInfo: browser.MessageInfo;
  ModelRef: browser.ModelRef;
  OpenCodeEvent: browser.OpenCodeEvent;
  Part: browser.Part;
  PatchPart: browser.PatchPart;
  PathInfo: browser.PathInfo;
  PermissionReplyInput: browser.PermissionReplyInput;
  PermissionRequest: browser.PermissionRequest;
  PermissionRule: browser.PermissionRule;
  PromptInput: browser.PromptInput;
  PromptPartInput: browser.PromptPartInput;
  PtyInfo: browser.PtyInfo;
  QuestionReplyInput: browser.QuestionReplyInput;
  QuestionRequest: browser.QuestionRequest;
  ReasoningPart: browser.ReasoningPart;
  RepoPathReason: browser.RepoPathReason;
  RepoStats: browser.RepoStats;
  RequestErrorInit: browser.RequestErrorInit;
  RequestOptions: browser.RequestOptions;
  RequestTarget: browser.RequestTarget;
  RetryPart: browser.RetryPart;
  ServerErrorInfo: browser.ServerErrorInfo;
  ServerEvents: browser.ServerEvents;
  ServerExit: browser.ServerExit;
  ServerHandle: browser.ServerHandle;
  ServerState: browser.ServerState;
  SessionBinding: browser.SessionBinding;
  SessionInfo: browser.SessionInfo;
  SessionMap: browser.SessionMap;
  SessionStatus: browser.SessionStatus;
  ShapeIssue: browser.ShapeIssue;
  SnapshotPart: browser.SnapshotPart;
  StepFinishPart: browser.StepFinishPart;
  StepStartPart: browser.StepStartPart;
  StopOptions: browser.StopOptions;
  SubtaskPart: browser.SubtaskPart;
  TextPart: browser.TextPart;
  TimeoutPhase: browser.TimeoutPhase;
  Timer: browser.Timer;
  Tokens: browser.Tokens;
  ToolPart: browser.ToolPart;
  ToolState: browser.ToolState;
  TurnErrorReason: browser.TurnErrorReason;
  TurnLimits: browser.TurnLimits;
  TurnOptions: browser.TurnOptions;
  TurnResult: browser.TurnResult;
  TurnStep: browser.TurnStep;
  UserMessage: browser.UserMessage;
}

/** The names in `T` whose type is `any` or `never`, which tells a user nothing. */
type Empty<T> = { [K in keyof T]: 0 extends 1 & T[K] ? K : [T[K]] extends [never] ? K : never }[keyof T];

describe('the public surface', () => {
  it('is these values, under both conditions', () => {
    expectTypeOf<keyof typeof api>().toEqualTypeOf<Value>();
    expectTypeOf<keyof typeof browser>().toEqualTypeOf<Value>();
  });

  it('is these types, each of which says something', () => {
    expectTypeOf<Empty<Types & NodeTypes>>().toBeNever();
    // The helper itself: it does find them.
    expectTypeOf<Empty<{ a: string; b: never; c: ReturnType<typeof JSON.parse> }>>().toEqualTypeOf<
      'b' | 'c'
    >();
  });

  it('is the same for a browser', () => {
    expectTypeOf<BrowserTypes>().toEqualTypeOf<Types>();
  });
});
