import type * as official from '@opencode-ai/sdk/v2/client';
import type * as ours from 'jarvis-opencode';
import type { Agent } from '../../src/client/schema/agents.js';
import type { AuthInput } from '../../src/client/schema/auth.js';
import type { Command } from '../../src/client/schema/commands.js';
import type { Config } from '../../src/client/schema/config.js';
import type { FileContent, FileNode, FileStatus } from '../../src/client/schema/files.js';
import type { CodeSymbol, TextMatch } from '../../src/client/schema/find.js';
import type { FormatterStatus } from '../../src/client/schema/formatter.js';
import type { LspStatus } from '../../src/client/schema/lsp.js';
import type { AddMcpInput, McpAuthorization, McpStatus } from '../../src/client/schema/mcp.js';
import type { Project, ProjectDirectory } from '../../src/client/schema/project.js';
import type {
  ConfigProviders,
  Model,
  Provider,
  ProviderAuthAuthorization,
  ProviderAuthMethod,
  ProviderList,
} from '../../src/client/schema/providers.js';
import type { Pty, PtyConnectToken, PtyShell } from '../../src/client/schema/pty.js';
import type { Skill } from '../../src/client/schema/skills.js';
import type { ToolListItem } from '../../src/client/schema/tools.js';
import type { VcsApplyResult, VcsFileDiff, VcsFileStatus, VcsInfo } from '../../src/client/schema/vcs.js';
import type { Worktree } from '../../src/client/schema/worktrees.js';
import { describe, expectTypeOf, it } from 'vitest';

// Code written for the official SDK's objects must accept ours.

describe('a wire type of ours is assignable where the official SDK has its own', () => {
  it('sessions', () => {
    expectTypeOf<ours.SessionInfo>().toExtend<official.Session>();
    expectTypeOf<ours.SessionStatus>().toExtend<official.SessionStatus>();
    expectTypeOf<ours.Todo>().toExtend<official.Todo>();
    expectTypeOf<ours.FileDiff>().toExtend<official.SnapshotFileDiff>();
    expectTypeOf<ours.PermissionRule>().toExtend<official.PermissionRule>();
  });

  it('messages', () => {
    expectTypeOf<ours.UserMessage>().toExtend<official.UserMessage>();
    expectTypeOf<ours.AssistantMessage>().toExtend<official.AssistantMessage>();
    expectTypeOf<ours.MessageInfo>().toExtend<official.Message>();
    expectTypeOf<ours.Message>().toExtend<{ info: official.Message; parts: official.Part[] }>();
    expectTypeOf<ours.OutputFormat>().toExtend<official.OutputFormat>();
    expectTypeOf<ours.ServerErrorInfo>().toExtend<NonNullable<official.AssistantMessage['error']>>();
    expectTypeOf<ours.ApiErrorInfo>().toExtend<official.ApiError>();
  });

  it('parts', () => {
    expectTypeOf<ours.TextPart>().toExtend<official.TextPart>();
    expectTypeOf<ours.ReasoningPart>().toExtend<official.ReasoningPart>();
    expectTypeOf<ours.FilePart>().toExtend<official.FilePart>();
    expectTypeOf<ours.FilePartSource>().toExtend<official.FilePartSource>();
    expectTypeOf<ours.ToolPart>().toExtend<official.ToolPart>();
    expectTypeOf<ours.ToolState>().toExtend<official.ToolState>();
    expectTypeOf<ours.SubtaskPart>().toExtend<official.SubtaskPart>();
    expectTypeOf<ours.StepStartPart>().toExtend<official.StepStartPart>();
    expectTypeOf<ours.StepFinishPart>().toExtend<official.StepFinishPart>();
    expectTypeOf<ours.SnapshotPart>().toExtend<official.SnapshotPart>();
    expectTypeOf<ours.PatchPart>().toExtend<official.PatchPart>();
    expectTypeOf<ours.AgentPart>().toExtend<official.AgentPart>();
    expectTypeOf<ours.RetryPart>().toExtend<official.RetryPart>();
    expectTypeOf<ours.CompactionPart>().toExtend<official.CompactionPart>();
    expectTypeOf<ours.Part>().toExtend<official.Part>();
  });

  it('requests to the user', () => {
    expectTypeOf<ours.PermissionRequest>().toExtend<official.PermissionRequest>();
    expectTypeOf<ours.QuestionRequest>().toExtend<official.QuestionRequest>();
  });

  it('the repository', () => {
    expectTypeOf<ours.PathInfo>().toExtend<official.Path>();
    expectTypeOf<ours.Health>().toExtend<official.GlobalHealthResponse>();
    expectTypeOf<Project>().toExtend<official.Project>();
    expectTypeOf<ProjectDirectory>().toExtend<official.ProjectDirectoriesResponse[number]>();
    expectTypeOf<FileNode>().toExtend<official.FileNode>();
    expectTypeOf<FileContent>().toExtend<official.FileContent>();
    expectTypeOf<FileStatus>().toExtend<official.File>();
    expectTypeOf<TextMatch>().toExtend<official.FindTextResponse[number]>();
    expectTypeOf<CodeSymbol>().toExtend<official.Symbol>();
    expectTypeOf<VcsInfo>().toExtend<official.VcsInfo>();
    expectTypeOf<VcsFileStatus>().toExtend<official.VcsFileStatus>();
    expectTypeOf<VcsFileDiff>().toExtend<official.VcsFileDiff>();
    expectTypeOf<VcsApplyResult>().toExtend<official.VcsApplyResponse>();
    expectTypeOf<Pty>().toExtend<official.Pty>();
    expectTypeOf<PtyShell>().toExtend<official.PtyShellsResponse[number]>();
    expectTypeOf<PtyConnectToken>().toExtend<official.PtyConnectTokenResponse>();
    expectTypeOf<Worktree>().toExtend<official.Worktree>();
  });

  it('what agents have', () => {
    expectTypeOf<Agent>().toExtend<official.Agent>();
    expectTypeOf<Command>().toExtend<official.Command>();
    expectTypeOf<Skill>().toExtend<official.AppSkillsResponse[number]>();
    expectTypeOf<ToolListItem>().toExtend<official.ToolListItem>();
    expectTypeOf<LspStatus>().toExtend<official.LspStatus>();
    expectTypeOf<McpStatus>().toExtend<official.McpStatus>();
    expectTypeOf<McpAuthorization>().toExtend<official.McpAuthStartResponse>();
    expectTypeOf<FormatterStatus>().toExtend<official.FormatterStatus>();
  });

  it('configuration and providers', () => {
    expectTypeOf<Config>().toExtend<official.Config>();
    expectTypeOf<Model>().toExtend<official.Model>();
    expectTypeOf<Provider>().toExtend<official.Provider>();
    expectTypeOf<ProviderList>().toExtend<official.ProviderListResponse>();
    expectTypeOf<ConfigProviders>().toExtend<official.ConfigProvidersResponse>();
    expectTypeOf<ProviderAuthMethod>().toExtend<official.ProviderAuthMethod>();
    expectTypeOf<ProviderAuthAuthorization>().toExtend<official.ProviderAuthAuthorization>();
  });
});

describe('a type of the official SDK is assignable where ours is sent', () => {
  it('configuration', () => {
    expectTypeOf<official.Config>().toExtend<Config>();
    expectTypeOf<official.Auth>().toExtend<AuthInput>();
    expectTypeOf<official.McpLocalConfig | official.McpRemoteConfig>().toExtend<AddMcpInput['config']>();
  });

  it('parts', () => {
    expectTypeOf<official.Part>().toExtend<ours.Part>();
  });
});
