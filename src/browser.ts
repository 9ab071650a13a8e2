// The same surface as index.ts without what needs a process: JarvisOpenCode has no start() here.
// Every export of this file is public API: adding one is a promise, removing one breaks a user.
export { JarvisClient as JarvisOpenCode } from './jarvis-client.js';
export type { ConnectOptions, JarvisOptions } from './jarvis-client.js';
export { RepoClient } from './client/repo-client.js';
export { Session } from './client/session.js';
export { PermissionsResource } from './client/resources/permissions.js';
export { QuestionsResource } from './client/resources/questions.js';
export { SessionsResource, type CreateSessionOptions } from './client/resources/sessions.js';
export { GlobalResource } from './client/resources/global.js';
export { Turn, type TurnOptions, type TurnResult, type TurnStep } from './client/turn.js';
export type { TurnLimits } from './client/turn-engine.js';
export type { FetchFunction, RequestOptions } from './client/options.js';
export { Paged } from './client/paged.js';
export { EventStream, type DeliveredEvent, type EventOptions } from './client/events/event-stream.js';
export type {
  PermissionReplyInput,
  PermissionRequest,
  PermissionResponse,
  QuestionReplyInput,
  QuestionRequest,
} from './client/schema/ask.js';
export type {
  EventOf,
  EventProperties,
  EventType,
  GapReason,
  OpenCodeEvent,
  PtyInfo,
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
  SubtaskPart,
  TextPart,
  ToolPart,
  ToolState,
  UserMessage,
} from './client/schema/message.js';
export type {
  CommandInput,
  CreateSessionInput,
  DiffInput,
  ForkInput,
  InitInput,
  ListMessagesInput,
  ListSessionsInput,
  ModelRef,
  PromptInput,
  PromptPartInput,
  RevertInput,
  ShellInput,
  SummarizeInput,
  UpdateSessionInput,
} from './client/schema/prompt.js';
export type { Health, PathInfo } from './client/schema/server.js';
export type {
  FileDiff,
  PermissionRule,
  SessionInfo,
  SessionStatus,
  Todo,
  Tokens,
} from './client/schema/session.js';
export type { ActivityKind, DisposeReason, DisposeResult, Hold, HoldKind, RepoStats } from './instance.js';
export type { IdlePolicy } from './registry/idle.js';
export type { BindableSession, SessionBinding, SessionMap } from './registry/sessions.js';
export type {
  ServerEvents,
  ServerExit,
  ServerHandle,
  ServerState,
  StopOptions,
} from './lifecycle/server-handle.js';
export { SUPPORTED_SERVERS } from './version.js';
export type { Clock, Timer } from './clock.js';
export type { Logger } from './logger.js';
export {
  ClosedError,
  ConnectionError,
  DisposeRefusedError,
  JarvisError,
  RepoPathError,
  RequestError,
  ResponseShapeError,
  ServerLostError,
  ServerStartError,
  SessionAlreadyBoundError,
  SessionDirectoryError,
  SessionNotBoundError,
  TimeoutError,
  TurnError,
  UnsupportedServerError,
  type JarvisErrorCode,
  type RepoPathReason,
  type RequestErrorInit,
  type RequestTarget,
  type ShapeIssue,
  type TimeoutPhase,
  type TurnErrorReason,
} from './errors.js';
