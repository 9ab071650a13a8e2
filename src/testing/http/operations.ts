import type { Agent } from '../../client/schema/agents.js';
import type {
  PermissionReplyInput,
  PermissionRequest,
  PermissionResponse,
  QuestionReplyInput,
  QuestionRequest,
} from '../../client/schema/ask.js';
import type { AuthInput } from '../../client/schema/auth.js';
import type { Command } from '../../client/schema/commands.js';
import type { Config } from '../../client/schema/config.js';
import type { FileContent, FileNode, FileStatus } from '../../client/schema/files.js';
import type { CodeSymbol, TextMatch } from '../../client/schema/find.js';
import type { FormatterStatus } from '../../client/schema/formatter.js';
import type { LspStatus } from '../../client/schema/lsp.js';
import type {
  AddMcpInput,
  McpAuthCallbackInput,
  McpAuthorization,
  McpStatus,
} from '../../client/schema/mcp.js';
import type { Message, Part } from '../../client/schema/message.js';
import type { Project, ProjectDirectory, UpdateProjectInput } from '../../client/schema/project.js';
import type {
  CommandInput,
  CreateSessionInput,
  ForkInput,
  InitInput,
  PromptInput,
  RevertInput,
  ShellInput,
  SummarizeInput,
  UpdateSessionInput,
} from '../../client/schema/prompt.js';
import type {
  ConfigProviders,
  OAuthAuthorizeInput,
  OAuthCallbackInput,
  ProviderAuthAuthorization,
  ProviderAuthMethod,
  ProviderList,
} from '../../client/schema/providers.js';
import type {
  CreatePtyInput,
  Pty,
  PtyConnectToken,
  PtyShell,
  UpdatePtyInput,
} from '../../client/schema/pty.js';
import type { Health, PathInfo } from '../../client/schema/server.js';
import type { FileDiff, SessionInfo, SessionStatus, Todo } from '../../client/schema/session.js';
import type { Skill } from '../../client/schema/skills.js';
import type { ToolListItem } from '../../client/schema/tools.js';
import type {
  VcsApplyInput,
  VcsApplyResult,
  VcsFileDiff,
  VcsFileStatus,
  VcsInfo,
} from '../../client/schema/vcs.js';
import type { CreateWorktreeInput, Worktree, WorktreeDirectoryInput } from '../../client/schema/worktrees.js';
import type { MockRequest } from './route.js';

/** The body and the answer of an operation. */
interface Operation<Body, Answer> {
  readonly body: Body;
  readonly answer: Answer;
}
type Read<Answer> = Operation<undefined, Answer>;
type Turn = { readonly messageID?: string };

/** The operations that this library calls, by method and path as OpenCode documents them. */
export interface MockOperations {
  'GET /global/health': Read<Health>;
  'GET /global/config': Read<Config>;
  'PATCH /global/config': Operation<Config, Config>;
  'POST /global/dispose': Read<boolean>;
  'PUT /auth/{providerID}': Operation<AuthInput, boolean>;
  'DELETE /auth/{providerID}': Read<boolean>;
  'POST /log': Operation<{ service: string; level: string; message: string }, boolean>;
  'POST /instance/dispose': Read<boolean>;
  'GET /path': Read<PathInfo>;
  'GET /config': Read<Config>;
  'PATCH /config': Operation<Config, Config>;
  'GET /config/providers': Read<ConfigProviders>;
  'GET /provider': Read<ProviderList>;
  'GET /provider/auth': Read<Record<string, ProviderAuthMethod[]>>;
  'POST /provider/{providerID}/oauth/authorize': Operation<OAuthAuthorizeInput, ProviderAuthAuthorization>;
  'POST /provider/{providerID}/oauth/callback': Operation<OAuthCallbackInput, boolean>;
  'GET /agent': Read<Agent[]>;
  'GET /command': Read<Command[]>;
  'GET /skill': Read<Skill[]>;
  'GET /lsp': Read<LspStatus[]>;
  'GET /formatter': Read<FormatterStatus[]>;
  'GET /experimental/tool/ids': Read<string[]>;
  'GET /experimental/tool': Read<ToolListItem[]>;
  'GET /mcp': Read<Record<string, McpStatus>>;
  'POST /mcp': Operation<AddMcpInput, Record<string, McpStatus>>;
  'POST /mcp/{name}/connect': Read<boolean>;
  'POST /mcp/{name}/disconnect': Read<boolean>;
  'POST /mcp/{name}/auth': Read<McpAuthorization>;
  'DELETE /mcp/{name}/auth': Read<object>;
  'POST /mcp/{name}/auth/callback': Operation<McpAuthCallbackInput, McpStatus>;
  'POST /mcp/{name}/auth/authenticate': Read<McpStatus>;
  'GET /project': Read<Project[]>;
  'GET /project/current': Read<Project>;
  'POST /project/git/init': Read<Project>;
  'PATCH /project/{projectID}': Operation<UpdateProjectInput, Project>;
  'GET /project/{projectID}/directories': Read<ProjectDirectory[]>;
  'GET /vcs': Read<VcsInfo>;
  'GET /vcs/status': Read<VcsFileStatus[]>;
  'GET /vcs/diff': Read<VcsFileDiff[]>;
  'POST /vcs/apply': Operation<VcsApplyInput, VcsApplyResult>;
  'GET /find': Read<TextMatch[]>;
  'GET /find/file': Read<string[]>;
  'GET /find/symbol': Read<CodeSymbol[]>;
  'GET /file': Read<FileNode[]>;
  'GET /file/content': Read<FileContent>;
  'GET /file/status': Read<FileStatus[]>;
  'GET /pty': Read<Pty[]>;
  'POST /pty': Operation<CreatePtyInput, Pty>;
  'GET /pty/shells': Read<PtyShell[]>;
  'GET /pty/{ptyID}': Read<Pty>;
  'PUT /pty/{ptyID}': Operation<UpdatePtyInput, Pty>;
  'DELETE /pty/{ptyID}': Read<boolean>;
  'POST /pty/{ptyID}/connect-token': Read<PtyConnectToken>;
  'GET /permission': Read<PermissionRequest[]>;
  'POST /permission/{requestID}/reply': Operation<PermissionReplyInput, boolean>;
  'GET /question': Read<QuestionRequest[]>;
  'POST /question/{requestID}/reply': Operation<QuestionReplyInput, boolean>;
  'POST /question/{requestID}/reject': Read<boolean>;
  'GET /session': Read<SessionInfo[]>;
  'POST /session': Operation<CreateSessionInput | undefined, SessionInfo>;
  'GET /session/status': Read<Record<string, SessionStatus>>;
  'GET /session/{sessionID}': Read<SessionInfo>;
  'PATCH /session/{sessionID}': Operation<UpdateSessionInput, SessionInfo>;
  'DELETE /session/{sessionID}': Read<boolean>;
  'GET /session/{sessionID}/children': Read<SessionInfo[]>;
  'GET /session/{sessionID}/todo': Read<Todo[]>;
  'GET /session/{sessionID}/diff': Read<FileDiff[]>;
  'POST /session/{sessionID}/fork': Operation<ForkInput, SessionInfo>;
  'POST /session/{sessionID}/abort': Read<boolean>;
  'POST /session/{sessionID}/share': Read<SessionInfo>;
  'DELETE /session/{sessionID}/share': Read<SessionInfo>;
  'POST /session/{sessionID}/revert': Operation<RevertInput, SessionInfo>;
  'POST /session/{sessionID}/unrevert': Read<SessionInfo>;
  'POST /session/{sessionID}/summarize': Operation<SummarizeInput, boolean>;
  'POST /session/{sessionID}/init': Operation<InitInput & { readonly messageID: string }, boolean>;
  'POST /session/{sessionID}/command': Operation<CommandInput & Turn, Message>;
  'POST /session/{sessionID}/shell': Operation<ShellInput & Turn, Message>;
  'POST /session/{sessionID}/prompt_async': Operation<PromptInput & Turn, undefined>;
  'POST /session/{sessionID}/message': Operation<PromptInput & Turn, Message>;
  'GET /session/{sessionID}/message': Read<Message[]>;
  'GET /session/{sessionID}/message/{messageID}': Read<Message>;
  'DELETE /session/{sessionID}/message/{messageID}': Read<boolean>;
  'PATCH /session/{sessionID}/message/{messageID}/part/{partID}': Operation<Part, Part>;
  'DELETE /session/{sessionID}/message/{messageID}/part/{partID}': Read<boolean>;
  'POST /session/{sessionID}/permissions/{permissionID}': Operation<
    { readonly response: PermissionResponse['reply'] },
    boolean
  >;
  'GET /experimental/worktree': Read<string[]>;
  'POST /experimental/worktree': Operation<CreateWorktreeInput, Worktree>;
  'DELETE /experimental/worktree': Operation<WorktreeDirectoryInput, boolean>;
  'POST /experimental/worktree/reset': Operation<WorktreeDirectoryInput, boolean>;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** `METHOD /path` with parameters in braces: one of {@link MockOperations}, or any other, whose body and answer are `unknown`. */
export type MockOperation = keyof MockOperations | `${Method} /${string}`;

/** The names in braces in a path. */
type ParamsIn<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamsIn<Rest>
  : never;

/** The request that a handler answers. */
export type MockHandlerRequest<O extends MockOperation> = Omit<MockRequest, 'body'> & {
  /** The parameters of the path, decoded, by name. */
  readonly params: Readonly<Record<ParamsIn<O>, string>>;
  readonly headers: Headers;
  /** The parsed body as it was sent; its type is not checked. */
  readonly body: O extends keyof MockOperations ? MockOperations[O]['body'] : unknown;
};

/** The answer of a handler: a value is sent as JSON, `undefined` as status 204, a `Response` as it is. */
export type MockAnswer<O extends MockOperation> =
  Response | (O extends keyof MockOperations ? MockOperations[O]['answer'] : unknown);

/** Answers an operation in place of the mock. */
export type MockHandler<O extends MockOperation> = (
  request: MockHandlerRequest<O>,
) => MockAnswer<O> | Promise<MockAnswer<O>>;

/** Splits an operation. @throws {TypeError} when it is not written as `METHOD /path`. */
export function parseOperation(operation: string): { readonly method: string; readonly pattern: string } {
  const [, method, pattern] = /^(GET|POST|PUT|PATCH|DELETE) (\/\S*)$/.exec(operation) ?? [];
  if (method === undefined || pattern === undefined) {
    const got = JSON.stringify(operation) ?? typeof operation;
    throw new TypeError(
      `Expected an operation such as 'GET /session/{sessionID}', got ${got}. Write the method in capitals.`,
    );
  }
  return { method, pattern };
}
