import { describe, expectTypeOf, it } from 'vitest';
import type * as api from 'jarvis-opencode';
import type * as browser from '../../src/browser.js';

// A name that is added to or removed from the entry points makes this file fail: that is its purpose.

type ErrorClass =
  | 'ClosedError'
  | 'ConnectionError'
  | 'DisposeRefusedError'
  | 'FilePathError'
  | 'UseDeadlockError'
  | 'JarvisError'
  | 'OperationRefusedError'
  | 'RemoteTurnError'
  | 'readTurn'
  | 'toProblem'
  | 'RepoPathError'
  | 'RepoBoundError'
  | 'RepoPlacedError'
  | 'RequestError'
  | 'ResponseShapeError'
  | 'ResponseTooLargeError'
  | 'RevertError'
  | 'ServerLostError'
  | 'ServerStartError'
  | 'SessionAlreadyBoundError'
  | 'SessionDirectoryError'
  | 'SessionNotBoundError'
  | 'TimeoutError'
  | 'TurnError'
  | 'UnsupportedOperationError'
  | 'UnsupportedServerError';

type Value =
  | ErrorClass
  | 'AgentsResource'
  | 'AuthResource'
  | 'CommandsResource'
  | 'ConfigResource'
  | 'EventStream'
  | 'FilesResource'
  | 'FindResource'
  | 'FormatterResource'
  | 'GlobalConfigResource'
  | 'GlobalResource'
  | 'JarvisFleet'
  | 'JarvisOpenCode'
  | 'LogResource'
  | 'LspResource'
  | 'McpResource'
  | 'Paged'
  | 'PermissionAsk'
  | 'PermissionsResource'
  | 'ProjectResource'
  | 'ProvidersResource'
  | 'PtyConnection'
  | 'PtyResource'
  | 'QuestionAsk'
  | 'QuestionsResource'
  | 'RepoClient'
  | 'SUPPORTED_SERVERS'
  | 'Session'
  | 'SessionsResource'
  | 'SkillsResource'
  | 'ToolsResource'
  | 'TuiResource'
  | 'Turn'
  | 'VcsResource'
  | 'WorktreesResource'
  | 'consoleLogger'
  | 'formatDiagnosis'
  | 'permissionDecisionSchema'
  | 'questionDecisionSchema'
  | 'isJarvisError'
  | 'jarvisSnapshotSchema';

/** Every exported type, by its name: a missing one does not compile, and none of them is `any`. */
interface Types {
  ActivityKind: api.ActivityKind;
  AddMcpInput: api.AddMcpInput;
  Agent: api.Agent;
  AgentConfig: api.AgentConfig;
  AgentPart: api.AgentPart;
  AnyJarvisError: api.AnyJarvisError;
  ApiErrorInfo: api.ApiErrorInfo;
  AskContext: api.AskContext;
  AskOptions: api.AskOptions;
  AskOutcome: api.AskOutcome;
  AskPolicy: api.AskPolicy<api.PermissionRequest, api.PermissionDecision>;
  AssistantMessage: api.AssistantMessage;
  AttachOptions: api.AttachOptions;
  AuthInput: api.AuthInput;
  BindableSession: api.BindableSession;
  CallTrace: api.CallTrace;
  Clock: api.Clock;
  CodeSymbol: api.CodeSymbol;
  Command: api.Command;
  CommandConfig: api.CommandConfig;
  CommandInput: api.CommandInput;
  CompactionPart: api.CompactionPart;
  Config: api.Config;
  ConfigProviders: api.ConfigProviders;
  ConnectOptions: api.ConnectOptions;
  CreatePtyInput: api.CreatePtyInput;
  CreateSessionInput: api.CreateSessionInput;
  CreateSessionOptions: api.CreateSessionOptions;
  CreateWorktreeInput: api.CreateWorktreeInput;
  Decide: api.Decide<api.PermissionRequest, api.PermissionDecision>;
  DecidePolicy: api.DecidePolicy<api.PermissionRequest, api.PermissionDecision>;
  DeliveredEvent: api.DeliveredEvent<'session.idle'>;
  DiffInput: api.DiffInput;
  DiagnoseOptions: api.DiagnoseOptions;
  DiagnosisCheck: api.DiagnosisCheck;
  DirectoryChange: api.DirectoryChange;
  DisposalTrace: api.DisposalTrace;
  DisposeReason: api.DisposeReason;
  DisposeResult: api.DisposeResult;
  EventOf: api.EventOf<'session.idle'>;
  EventOptions: api.EventOptions;
  EventProperties: api.EventProperties;
  EventType: api.EventType;
  FetchFunction: api.FetchFunction;
  FileContent: api.FileContent;
  FileDiff: api.FileDiff;
  FileNode: api.FileNode;
  FileLines: api.FileLines;
  FilePart: api.FilePart;
  FilePartInput: api.FilePartInput;
  FilePartOptions: api.FilePartOptions;
  FilePartSource: api.FilePartSource;
  FilePathReason: api.FilePathReason;
  FileStatus: api.FileStatus;
  Finding: api.Finding;
  FindFilesInput: api.FindFilesInput;
  FindSymbolsInput: api.FindSymbolsInput;
  FindTextInput: api.FindTextInput;
  ForkInput: api.ForkInput;
  FormatterConfig: api.FormatterConfig;
  FormatterStatus: api.FormatterStatus;
  GapReason: api.GapReason;
  Health: api.Health;
  HealthPolicy: api.HealthPolicy;
  Hold: api.Hold;
  HoldKind: api.HoldKind;
  IdlePolicy: api.IdlePolicy;
  InstanceDecision: api.InstanceDecision;
  InitInput: api.InitInput;
  JarvisErrorCode: api.JarvisErrorCode;
  JarvisOptions: api.JarvisOptions;
  ListMessagesInput: api.ListMessagesInput;
  ListSessionsInput: api.ListSessionsInput;
  ListToolsInput: api.ListToolsInput;
  LogEntry: api.LogEntry;
  ConsoleLoggerOptions: api.ConsoleLoggerOptions;
  LogLevel: api.LogLevel;
  Logger: api.Logger;
  LspConfig: api.LspConfig;
  LspStatus: api.LspStatus;
  McpAuthCallbackInput: api.McpAuthCallbackInput;
  McpAuthorization: api.McpAuthorization;
  McpLocalConfig: api.McpLocalConfig;
  McpOAuthConfig: api.McpOAuthConfig;
  McpRemoteConfig: api.McpRemoteConfig;
  McpStatus: api.McpStatus;
  Message: api.Message;
  MessageInfo: api.MessageInfo;
  Model: api.Model;
  ModelConfig: api.ModelConfig;
  ModelModalities: api.ModelModalities;
  ModelPrice: api.ModelPrice;
  ModelInput: api.ModelInput;
  ModelRef: api.ModelRef;
  OAuthAuthorizeInput: api.OAuthAuthorizeInput;
  OAuthCallbackInput: api.OAuthCallbackInput;
  OpenCode2Client: api.OpenCode2Client<api.Session>;
  OpenCode2Repo: api.OpenCode2Repo;
  OpenCode2Session: api.OpenCode2Session;
  OpenCodeEvent: api.OpenCodeEvent;
  OutputFormat: api.OutputFormat;
  Part: api.Part;
  PatchPart: api.PatchPart;
  PathInfo: api.PathInfo;
  PermissionActionConfig: api.PermissionActionConfig;
  PermissionConfig: api.PermissionConfig;
  PermissionDecision: api.PermissionDecision;
  PermissionPolicy: api.PermissionPolicy;
  PermissionReplyInput: api.PermissionReplyInput;
  PermissionRequest: api.PermissionRequest;
  PermissionResponse: api.PermissionResponse;
  PermissionRule: api.PermissionRule;
  PermissionRuleConfig: api.PermissionRuleConfig;
  Project: api.Project;
  ProjectDirectory: api.ProjectDirectory;
  PromptInput: api.PromptInput;
  PromptPartInput: api.PromptPartInput;
  Provider: api.Provider;
  ProviderAuthAuthorization: api.ProviderAuthAuthorization;
  ProviderAuthCondition: api.ProviderAuthCondition;
  ProviderAuthMethod: api.ProviderAuthMethod;
  ProviderAuthPrompt: api.ProviderAuthPrompt;
  ProviderConfig: api.ProviderConfig;
  ProviderList: api.ProviderList;
  Pty: api.Pty;
  PtyClose: api.PtyClose;
  PtyConnectOptions: api.PtyConnectOptions;
  PtyConnectToken: api.PtyConnectToken;
  PtyInfo: api.PtyInfo;
  PtyShell: api.PtyShell;
  PtySize: api.PtySize;
  QuestionDecision: api.QuestionDecision;
  QuestionPolicy: api.QuestionPolicy;
  QuestionReplyInput: api.QuestionReplyInput;
  QuestionRequest: api.QuestionRequest;
  ReasoningPart: api.ReasoningPart;
  ReferenceConfig: api.ReferenceConfig;
  RepoPathReason: api.RepoPathReason;
  ProcessUsage: api.ProcessUsage;
  ReconcileOptions: api.ReconcileOptions;
  ReconcileResult: api.ReconcileResult;
  RepoOverview: api.RepoOverview;
  RepoStats: api.RepoStats;
  MapFunction: api.MapFunction<string>;
  MapOptions: api.MapOptions<string>;
  MapProgress: api.MapProgress<string>;
  MapResult: api.MapResult<string>;
  RestartTrace: api.RestartTrace;
  TurnTrace: api.TurnTrace;
  TurnUsage: api.TurnUsage;
  UseContext: api.UseContext;
  UseCounts: api.UseCounts;
  UseOptions: api.UseOptions;
  UseWait: api.UseWait;
  DisposeOptions: api.DisposeOptions;
  JarvisSnapshot: api.JarvisSnapshot;
  RequestErrorInit: api.RequestErrorInit;
  RevertReason: api.RevertReason;
  RequestOptions: api.RequestOptions;
  RequestTarget: api.RequestTarget;
  RestartGuard: api.RestartGuard;
  RestartOptions: api.RestartOptions;
  RestartPolicy: api.RestartPolicy;
  RetryPart: api.RetryPart;
  RevertInput: api.RevertInput;
  ServerChange: api.ServerChange;
  ServerErrorInfo: api.ServerErrorInfo;
  ServerEvents: api.ServerEvents;
  ServerExit: api.ServerExit;
  ServerHandle: api.ServerHandle;
  ServerNews: api.ServerNews;
  ServerOptions: api.ServerOptions;
  ServerState: api.ServerState;
  ServerUser: api.ServerUser;
  SessionBinding: api.SessionBinding;
  SessionInfo: api.SessionInfo;
  SessionMap: api.SessionMap;
  SessionStatus: api.SessionStatus;
  SharedOptions: api.SharedOptions;
  SignalPolicy: api.SignalPolicy;
  ShapeIssue: api.ShapeIssue;
  ShellInput: api.ShellInput;
  Skill: api.Skill;
  SnapshotPart: api.SnapshotPart;
  StartOptions: api.StartOptions;
  StepFinishPart: api.StepFinishPart;
  StepStartPart: api.StepStartPart;
  StopOptions: api.StopOptions;
  CloseOptions: api.CloseOptions;
  DrainedOptions: api.DrainedOptions;
  SubtaskPart: api.SubtaskPart;
  SummarizeInput: api.SummarizeInput;
  TextMatch: api.TextMatch;
  TextPart: api.TextPart;
  TimeoutPhase: api.TimeoutPhase;
  Timer: api.Timer;
  Todo: api.Todo;
  Tokens: api.Tokens;
  ToolListItem: api.ToolListItem;
  ToolPart: api.ToolPart;
  ToolState: api.ToolState;
  TuiAppendPromptInput: api.TuiAppendPromptInput;
  TuiControlRequest: api.TuiControlRequest;
  TuiExecuteCommandInput: api.TuiExecuteCommandInput;
  TuiPublishInput: api.TuiPublishInput;
  TuiSelectSessionInput: api.TuiSelectSessionInput;
  TuiShowToastInput: api.TuiShowToastInput;
  TurnErrorReason: api.TurnErrorReason;
  TurnLimits: api.TurnLimits;
  TurnOptions: api.TurnOptions;
  TurnResult: api.TurnResult;
  TurnStep: api.TurnStep;
  UpdateProjectInput: api.UpdateProjectInput;
  UpdatePtyInput: api.UpdatePtyInput;
  UpdateSessionInput: api.UpdateSessionInput;
  UserMessage: api.UserMessage;
  VcsApplyInput: api.VcsApplyInput;
  VcsApplyResult: api.VcsApplyResult;
  VcsDiffInput: api.VcsDiffInput;
  VcsFileDiff: api.VcsFileDiff;
  VcsFileStatus: api.VcsFileStatus;
  OneShotOptions: api.OneShotOptions;
  ShellResult: api.ShellResult;
  TurnResponseOptions: api.TurnResponseOptions;
  ReadTurnOptions: api.ReadTurnOptions;
  RemoteTurn: api.RemoteTurn;
  RemoteAsk: api.RemoteAsk;
  RemoteTurnStep: api.RemoteTurnStep;
  Problem: api.Problem;
  VcsInfo: api.VcsInfo;
  WebSocketConstructor: api.WebSocketConstructor;
  WebSocketLike: api.WebSocketLike;
  WhenBusy: api.WhenBusy;
  Worktree: api.Worktree;
  FleetBinding: api.FleetBinding;
  FleetEvent: api.FleetEvent;
  FleetEventOf: api.FleetEventOf<'session.idle'>;
  FleetEventStream: api.FleetEventStream;
  FleetOptions: api.FleetOptions<Record<string, object>>;
  FleetReconcileOptions: api.FleetReconcileOptions;
  FleetReconcileResult: api.FleetReconcileResult;
  FleetSessionMap: api.FleetSessionMap;
  FleetSnapshot: api.FleetSnapshot;
  PlaceResult: api.PlaceResult;
  JarvisLike: api.JarvisLike;
  Lifetime: api.Lifetime;
  MemberDefaults: api.MemberDefaults;
  OpenProfile: api.OpenProfile;
  OwnProfile: api.OwnProfile;
  PlaceOptions: api.PlaceOptions<'main'>;
  ServerOverview: api.ServerOverview;
  ServerProfile: api.ServerProfile;
  UrlProfile: api.UrlProfile;
  WorktreeDirectoryInput: api.WorktreeDirectoryInput;
}

/** The names in `T` whose type is `any` or `never`, which tells a user nothing. */
type Empty<T> = { [K in keyof T]: 0 extends 1 & T[K] ? K : [T[K]] extends [never] ? K : never }[keyof T];

describe('the public surface', () => {
  it('is these values, and on Node what needs its disk', () => {
    expectTypeOf<keyof typeof api>().toEqualTypeOf<Value | 'filePart'>();
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
