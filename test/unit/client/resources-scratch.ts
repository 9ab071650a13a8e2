import type * as sdk from '@opencode-ai/sdk/v2';
import type { Config } from '../../../src/client/schema/config.js';
import type { FileContent, FileNode, FileStatus } from '../../../src/client/schema/files.js';
import type { CodeSymbol, TextMatch } from '../../../src/client/schema/find.js';
import type { VcsApplyResult, VcsFileDiff, VcsFileStatus, VcsInfo } from '../../../src/client/schema/vcs.js';
import type { Project, ProjectDirectory } from '../../../src/client/schema/project.js';
import type { Agent } from '../../../src/client/schema/agents.js';
import type { Command } from '../../../src/client/schema/commands.js';
import type { Skill } from '../../../src/client/schema/skills.js';
import type { ToolListItem } from '../../../src/client/schema/tools.js';
import type { LspStatus } from '../../../src/client/schema/lsp.js';
import type { FormatterStatus } from '../../../src/client/schema/formatter.js';
import type { ConfigProviders, Model, Provider, ProviderAuthAuthorization, ProviderAuthMethod, ProviderList } from '../../../src/client/schema/providers.js';
type Is<Ours extends Theirs, Theirs> = [Ours, Theirs];
export type Checks = [
  Is<Config, sdk.Config>, Is<sdk.Config, Config>,
  Is<FileContent, sdk.FileContent>, Is<FileNode, sdk.FileNode>, Is<FileStatus, sdk.File>,
  Is<sdk.FileContent, FileContent>, Is<sdk.FileNode, FileNode>, Is<sdk.File, FileStatus>,
  Is<CodeSymbol, sdk.Symbol>, Is<sdk.Symbol, CodeSymbol>, Is<TextMatch[], sdk.FindTextResponses[200]>, Is<sdk.FindTextResponses[200], TextMatch[]>,
  Is<VcsInfo, sdk.VcsInfo>, Is<VcsFileDiff, sdk.VcsFileDiff>, Is<VcsFileStatus, sdk.VcsFileStatus>, Is<VcsApplyResult, sdk.VcsApplyResponses[200]>,
  Is<sdk.VcsInfo, VcsInfo>, Is<sdk.VcsFileDiff, VcsFileDiff>, Is<sdk.VcsFileStatus, VcsFileStatus>,
  Is<Project, sdk.Project>, Is<ProjectDirectory[], sdk.ProjectDirectories>, Is<sdk.Project, Project>,
  Is<Agent, sdk.Agent>, Is<sdk.Agent, Agent>, Is<Command, sdk.Command>, Is<sdk.Command, Command>,
  Is<Skill[], sdk.AppSkillsResponses[200]>, Is<ToolListItem, sdk.ToolListItem>, Is<LspStatus, sdk.LspStatus>, Is<FormatterStatus, sdk.FormatterStatus>,
  Is<ConfigProviders, sdk.ConfigProvidersResponses[200]>, Is<ProviderList, sdk.ProviderListResponses[200]>, Is<Model, sdk.Model>, Is<Provider, sdk.Provider>,
  Is<sdk.Model, Model>, Is<sdk.Provider, Provider>,
  Is<ProviderAuthAuthorization, sdk.ProviderAuthAuthorization>, Is<ProviderAuthMethod, sdk.ProviderAuthMethod>, Is<sdk.ProviderAuthMethod, ProviderAuthMethod>,
];
