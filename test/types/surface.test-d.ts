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
  | 'Paged'
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
  ApiErrorInfo: api.ApiErrorInfo;
  AssistantMessage: api.AssistantMessage;
  BindableSession: api.BindableSession;
  Clock: api.Clock;
  CommandInput: api.CommandInput;
  CompactionPart: api.CompactionPart;
  ConnectOptions: api.ConnectOptions;
  CreateSessionInput: api.CreateSessionInput;
  CreateSessionOptions: api.CreateSessionOptions;
  DeliveredEvent: api.DeliveredEvent<'session.idle'>;
  DiffInput: api.DiffInput;
  DisposeReason: api.DisposeReason;
  DisposeResult: api.DisposeResult;
  EventOf: api.EventOf<'session.idle'>;
  EventOptions: api.EventOptions;
  EventProperties: api.EventProperties;
  EventType: api.EventType;
  FetchFunction: api.FetchFunction;
  FileDiff: api.FileDiff;
  FilePart: api.FilePart;
  FilePartSource: api.FilePartSource;
  ForkInput: api.ForkInput;
  GapReason: api.GapReason;
  Health: api.Health;
  Hold: api.Hold;
  HoldKind: api.HoldKind;
  IdlePolicy: api.IdlePolicy;
  InitInput: api.InitInput;
  JarvisErrorCode: api.JarvisErrorCode;
  JarvisOptions: api.JarvisOptions;
  ListMessagesInput: api.ListMessagesInput;
  ListSessionsInput: api.ListSessionsInput;
  Logger: api.Logger;
  Message: api.Message;
  MessageInfo: api.MessageInfo;
  ModelRef: api.ModelRef;
  OpenCodeEvent: api.OpenCodeEvent;
  OutputFormat: api.OutputFormat;
  Part: api.Part;
  PatchPart: api.PatchPart;
  PathInfo: api.PathInfo;
  PermissionReplyInput: api.PermissionReplyInput;
  PermissionRequest: api.PermissionRequest;
  PermissionResponse: api.PermissionResponse;
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
  RevertInput: api.RevertInput;
  ServerErrorInfo: api.ServerErrorInfo;
  ServerEvents: api.ServerEvents;
  ServerExit: api.ServerExit;
  ServerHandle: api.ServerHandle;
  ServerOptions: api.ServerOptions;
  ServerState: api.ServerState;
  SessionBinding: api.SessionBinding;
  SessionInfo: api.SessionInfo;
  SessionMap: api.SessionMap;
  SessionStatus: api.SessionStatus;
  ShapeIssue: api.ShapeIssue;
  ShellInput: api.ShellInput;
  SnapshotPart: api.SnapshotPart;
  StartOptions: api.StartOptions;
  StepFinishPart: api.StepFinishPart;
  StepStartPart: api.StepStartPart;
  StopOptions: api.StopOptions;
  SubtaskPart: api.SubtaskPart;
  SummarizeInput: api.SummarizeInput;
  TextPart: api.TextPart;
  TimeoutPhase: api.TimeoutPhase;
  Timer: api.Timer;
  Todo: api.Todo;
  Tokens: api.Tokens;
  ToolPart: api.ToolPart;
  ToolState: api.ToolState;
  TurnErrorReason: api.TurnErrorReason;
  TurnLimits: api.TurnLimits;
  TurnOptions: api.TurnOptions;
  TurnResult: api.TurnResult;
  TurnStep: api.TurnStep;
  UpdateSessionInput: api.UpdateSessionInput;
  UserMessage: api.UserMessage;
}

/** The names in `T` whose type is `any` or `never`, which tells a user nothing. */
type Empty<T> = { [K in keyof T]: 0 extends 1 & T[K] ? K : [T[K]] extends [never] ? K : never }[keyof T];

describe('the public surface', () => {
  it('is these values, under both conditions', () => {
    expectTypeOf<keyof typeof api>().toEqualTypeOf<Value>();
    expectTypeOf<keyof typeof browser>().toEqualTypeOf<Value>();
  });

  it('is these types, each of which says something', () => {
    expectTypeOf<Empty<Types>>().toBeNever();
    // The helper itself: it does find them.
    expectTypeOf<Empty<{ a: string; b: never; c: ReturnType<typeof JSON.parse> }>>().toEqualTypeOf<
      'b' | 'c'
    >();
  });
});
