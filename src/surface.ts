// The public names that Node and a browser share. Adding one is a promise, removing one breaks a user.
export type { DrainedOptions } from './app/jarvis-client.js';
export type { DiagnoseOptions } from './app/diagnose.js';
export type { ConnectOptions, JarvisOptions } from './app/options.js';
export type { OpenCode2Client, OpenCode2Repo, OpenCode2Session } from './app/opencode2-client.js';
export type { MapFunction, MapOptions, MapProgress, MapResult } from './app/map.js';
export { RepoClient, type DisposeOptions, type OneShotOptions } from './client/repo/repo-client.js';
export type { UseContext, UseOptions } from './client/repo/use.js';
export { Session } from './client/sessions/session.js';
export { AgentsResource } from './client/resources/agents.js';
export { CommandsResource } from './client/resources/commands.js';
export { ConfigResource } from './client/resources/config.js';
export { FilesResource } from './client/resources/files.js';
export { FindResource } from './client/resources/find.js';
export { FormatterResource } from './client/resources/formatter.js';
export { AuthResource, GlobalConfigResource, GlobalResource } from './client/resources/global.js';
export { LogResource, type LogEntry } from './client/resources/log.js';
export { LspResource } from './client/resources/lsp.js';
export { McpResource } from './client/resources/mcp.js';
export { PermissionsResource } from './client/resources/permissions.js';
export { ProjectResource } from './client/resources/project.js';
export { ProvidersResource } from './client/resources/providers.js';
export { PtyResource, type PtyConnectOptions } from './client/resources/pty.js';
export { QuestionsResource } from './client/resources/questions.js';
export { SessionsResource, type CreateSessionOptions } from './client/resources/sessions.js';
export { SkillsResource } from './client/resources/skills.js';
export { ToolsResource } from './client/resources/tools.js';
export { TuiResource } from './client/resources/tui.js';
export { VcsResource } from './client/resources/vcs.js';
export { WorktreesResource } from './client/resources/worktrees.js';
export {
  PtyConnection,
  type PtyClose,
  type WebSocketConstructor,
  type WebSocketLike,
} from './client/pty/connection.js';
export { PermissionAsk, QuestionAsk, type AskOutcome } from './client/asks/reply.js';
export type {
  AskContext,
  AskPolicy,
  Decide,
  DecidePolicy,
  PermissionDecision,
  PermissionPolicy,
  QuestionDecision,
  QuestionPolicy,
} from './client/asks/policy.js';
export type { AskOptions } from './client/asks/settings.js';
export {
  Turn,
  type AttachOptions,
  type PromptOptions,
  type TurnOptions,
  type WhenBusy,
} from './client/turns/turn.js';
export type { ShellResult, TurnResult } from './client/turns/result/turn-result.js';
export type { TurnResponseOptions } from './client/turns/turn-response.js';
export { readTurn, type ReadTurnOptions, type RemoteTurn } from './client/turns/read-turn.js';
export type { RemoteAsk, RemoteTurnStep } from './client/turns/result/turn-message.js';
export { toProblem } from './client/http/problem.js';
export type { TurnStep } from './client/turns/steps/turn-step.js';
export type { TurnLimits } from './client/turns/engine.js';
export type { FetchFunction, RequestOptions } from './client/http/request-options.js';
export { Paged } from './client/http/paged.js';
export { EventStream, type DeliveredEvent, type EventOptions } from './client/events/event-stream.js';
export type {
  PermissionReplyInput,
  PermissionRequest,
  PermissionResponse,
  QuestionReplyInput,
  QuestionRequest,
} from './client/schema/ask.js';
export type {
  DirectoryChange,
  EventOf,
  EventProperties,
  EventType,
  GapReason,
  OpenCodeEvent,
  PtyInfo,
  ServerNews,
} from './client/schema/event.js';
export type {
  AgentPart,
  ApiErrorInfo,
  AssistantMessage,
  CompactionPart,
  FilePart,
  FilePartSource,
  Message,
  MessageInfo,
  OutputFormat,
  Part,
  PatchPart,
  ReasoningPart,
  RetryPart,
  ServerErrorInfo,
  SnapshotPart,
  StepFinishPart,
  StepStartPart,
  StoredMessage,
  SubtaskPart,
  TextPart,
  ToolPart,
  ToolState,
  UnreadableMessage,
  UserMessage,
} from './client/schema/message.js';
export type {
  IdleEntry,
  OtherEntry,
  SessionEntry,
  StepContent,
  StepEntry,
  StepError,
  StepModel,
  StepTool,
  StepToolState,
  ToolContent,
  UserEntry,
} from './client/opencode2/wire.js';
export type {
  AnswerFormat,
  CommandInput,
  CreateSessionInput,
  DiffInput,
  ForkInput,
  InitInput,
  JsonSchema,
  ListMessagesInput,
  ListSessionsInput,
  ModelInput,
  ModelRef,
  ObjectFormat,
  PromptInput,
  PromptPartInput,
  RevertInput,
  ShellInput,
  SummarizeInput,
  UpdateSessionInput,
  ZodFormat,
} from './client/schema/prompt.js';
export type { Agent } from './client/schema/agents.js';
export type { AuthInput } from './client/schema/auth.js';
export type { Command } from './client/schema/commands.js';
export type {
  AgentConfig,
  CommandConfig,
  Config,
  FormatterConfig,
  LspConfig,
  McpLocalConfig,
  McpOAuthConfig,
  McpRemoteConfig,
  ModelConfig,
  PermissionActionConfig,
  PermissionConfig,
  PermissionRuleConfig,
  ProviderConfig,
  ReferenceConfig,
} from './client/schema/config.js';
export type { FileContent, FileNode, FileStatus } from './client/schema/files.js';
export type {
  CodeSymbol,
  FindFilesInput,
  FindSymbolsInput,
  FindTextInput,
  TextMatch,
} from './client/schema/find.js';
export type { FormatterStatus } from './client/schema/formatter.js';
export type { LspStatus } from './client/schema/lsp.js';
export type { AddMcpInput, McpAuthCallbackInput, McpAuthorization, McpStatus } from './client/schema/mcp.js';
export type { Project, ProjectDirectory, UpdateProjectInput } from './client/schema/project.js';
export type {
  ConfigProviders,
  Model,
  ModelModalities,
  ModelPrice,
  OAuthAuthorizeInput,
  OAuthCallbackInput,
  Provider,
  ProviderAuthAuthorization,
  ProviderAuthCondition,
  ProviderAuthMethod,
  ProviderAuthPrompt,
  ProviderList,
} from './client/schema/providers.js';
export type {
  CreatePtyInput,
  Pty,
  PtyConnectToken,
  PtyShell,
  PtySize,
  UpdatePtyInput,
} from './client/schema/pty.js';
export type { Skill } from './client/schema/skills.js';
export type { ListToolsInput, ToolListItem } from './client/schema/tools.js';
export type {
  TuiAppendPromptInput,
  TuiControlRequest,
  TuiExecuteCommandInput,
  TuiPublishInput,
  TuiSelectSessionInput,
  TuiShowToastInput,
} from './client/schema/tui.js';
export type {
  VcsApplyInput,
  VcsApplyResult,
  VcsDiffInput,
  VcsFileDiff,
  VcsFileStatus,
  VcsInfo,
} from './client/schema/vcs.js';
export type { CreateWorktreeInput, Worktree, WorktreeDirectoryInput } from './client/schema/worktrees.js';
export type { Health, PathInfo } from './client/schema/server.js';
export type {
  FileDiff,
  PermissionRule,
  SessionInfo,
  SessionStatus,
  Todo,
  Tokens,
} from './client/schema/session.js';
export type {
  ActivityKind,
  DisposeReason,
  DisposeResult,
  Hold,
  HoldKind,
  InstanceDecision,
  ProcessUsage,
  RepoOverview,
  RepoStats,
  UseCounts,
} from './core/instance.js';
export type { IdlePolicy } from './instances/idle-policy.js';
export type {
  BindableSession,
  ReconcileOptions,
  ReconcileResult,
  SessionBinding,
  SessionMap,
} from './registry/session-registry.js';
export { jarvisSnapshotSchema, type JarvisSnapshot } from './registry/snapshot.js';
export type { PlaceOptions } from './fleet/fleet-client.js';
export type { FleetEvent, FleetEventOf, FleetEventStream } from './fleet/fleet-events.js';
export type { FleetOptions } from './fleet/fleet-options.js';
export type {
  FleetBinding,
  FleetReconcileOptions,
  FleetReconcileResult,
  FleetSessionMap,
} from './fleet/fleet-sessions.js';
export type { FleetSnapshot } from './fleet/fleet-snapshot.js';
export type { JarvisLike } from './fleet/jarvis-like.js';
export type { PlaceResult } from './fleet/mover.js';
export type { ServerOverview } from './fleet/member.js';
export type { Lifetime, MemberDefaults, OpenProfile, UrlProfile } from './fleet/profiles.js';
export type { HealthPolicy } from './lifecycle/server/health.js';
export type { ServerUser } from './lifecycle/server/launch/server-user.js';
export type { RestartPolicy } from './lifecycle/server/restart-budget.js';
export type {
  CloseOptions,
  RestartGuard,
  RestartOptions,
  ServerChange,
  ServerEvents,
  ServerHandle,
  ServerState,
  StopOptions,
} from './lifecycle/server/handle.js';
export type { ServerExit } from './lifecycle/process/exit.js';
export { SUPPORTED_SERVERS, type AcceptedVersions, type ExperimentalOptions } from './core/version.js';
export type { Clock, Timer } from './core/clock.js';
export { permissionDecisionSchema, questionDecisionSchema } from './client/asks/decision-schemas.js';
export { consoleLogger, type ConsoleLoggerOptions, type LogLevel } from './core/console-logger.js';
export type { Logger } from './core/logger.js';
export type { CallTrace, DisposalTrace, RestartTrace, TurnTrace, TurnUsage } from './core/tracing.js';
export { formatDiagnosis, type DiagnosisCheck, type Finding } from './core/diagnosis.js';
export {
  ClosedError,
  ConnectionError,
  DisposeRefusedError,
  FilePathError,
  OperationRefusedError,
  RemoteTurnError,
  JarvisError,
  RepoPathError,
  RepoBoundError,
  RepoPlacedError,
  RequestError,
  ResponseShapeError,
  ResponseTooLargeError,
  RevertError,
  ServerLostError,
  ServerStartError,
  SessionAlreadyBoundError,
  SessionDirectoryError,
  SessionNotBoundError,
  TimeoutError,
  TurnError,
  UnsupportedOperationError,
  UnsupportedServerError,
  UseDeadlockError,
  isJarvisError,
  type AnyJarvisError,
  type FilePathReason,
  type JarvisErrorCode,
  type Problem,
  type RepoPathReason,
  type RequestErrorInit,
  type RevertReason,
  type RequestTarget,
  type ShapeIssue,
  type TimeoutPhase,
  type TurnErrorReason,
  type UseWait,
} from './errors.js';
