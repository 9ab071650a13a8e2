import * as z from 'zod';
import { wire } from './wire.js';

/** What happens when a tool needs a permission. */
export type PermissionActionConfig = 'ask' | 'allow' | 'deny';

/** One action, or one by pattern, of which the last that matches wins. */
export type PermissionRuleConfig = PermissionActionConfig | Record<string, PermissionActionConfig>;

/** One action for everything, or rules by permission. */
export type PermissionConfig =
  | PermissionActionConfig
  | {
      read?: PermissionRuleConfig;
      edit?: PermissionRuleConfig;
      glob?: PermissionRuleConfig;
      grep?: PermissionRuleConfig;
      list?: PermissionRuleConfig;
      bash?: PermissionRuleConfig;
      task?: PermissionRuleConfig;
      external_directory?: PermissionRuleConfig;
      todowrite?: PermissionActionConfig;
      question?: PermissionActionConfig;
      webfetch?: PermissionActionConfig;
      websearch?: PermissionActionConfig;
      lsp?: PermissionRuleConfig;
      doom_loop?: PermissionActionConfig;
      skill?: PermissionRuleConfig;
      [permission: string]: PermissionRuleConfig | undefined;
    };

/** An agent in the configuration. */
export interface AgentConfig {
  /** As `provider/model`. */
  model?: string;
  variant?: string;
  temperature?: number;
  top_p?: number;
  prompt?: string;
  tools?: Record<string, boolean>;
  disable?: boolean;
  description?: string;
  mode?: 'subagent' | 'primary' | 'all';
  hidden?: boolean;
  options?: Record<string, unknown>;
  /** `#rrggbb`, or a color of the theme such as `primary`. */
  color?: string;
  steps?: number;
  maxSteps?: number;
  permission?: PermissionConfig;
  [option: string]: unknown;
}

/** A command in the configuration. */
export interface CommandConfig {
  template: string;
  description?: string;
  agent?: string;
  /** As `provider/model`. */
  model?: string;
  variant?: string;
  subtask?: boolean;
}

type Modality = 'text' | 'audio' | 'image' | 'video' | 'pdf';

/** A model in the configuration. */
export interface ModelConfig {
  id?: string;
  name?: string;
  family?: string;
  release_date?: string;
  attachment?: boolean;
  reasoning?: boolean;
  temperature?: boolean;
  tool_call?: boolean;
  interleaved?: boolean | string | { field: string };
  /** US dollars per million tokens. */
  cost?: {
    input: number;
    output: number;
    cache_read?: number;
    cache_write?: number;
    context_over_200k?: { input: number; output: number; cache_read?: number; cache_write?: number };
  };
  /** Tokens. */
  limit?: { context: number; input?: number; output: number };
  modalities?: { input?: Modality[]; output?: Modality[] };
  experimental?: boolean;
  status?: 'alpha' | 'beta' | 'deprecated' | 'active';
  provider?: { npm?: string; api?: string };
  options?: Record<string, unknown>;
  headers?: Record<string, string>;
  variants?: Record<string, { disabled?: boolean; [option: string]: unknown }>;
}

/** A provider in the configuration. */
export interface ProviderConfig {
  api?: string;
  name?: string;
  env?: string[];
  id?: string;
  npm?: string;
  whitelist?: string[];
  blacklist?: string[];
  options?: {
    /** In the clear: keep it out of logs. */
    apiKey?: string;
    baseURL?: string;
    enterpriseUrl?: string;
    setCacheKey?: boolean;
    /** Milliseconds for a whole request. */
    timeout?: number | false;
    /** Milliseconds until the headers of an answer arrive. */
    headerTimeout?: number | false;
    /** Milliseconds between two pieces of a stream. */
    chunkTimeout?: number | false;
    [option: string]: unknown;
  };
  models?: Record<string, ModelConfig>;
}

/** An MCP server in the configuration that OpenCode starts. */
export interface McpLocalConfig {
  type: 'local';
  command: string[];
  cwd?: string;
  environment?: Record<string, string>;
  enabled?: boolean;
  /** Milliseconds. */
  timeout?: number;
}

/** How OpenCode signs in to an MCP server. */
export interface McpOAuthConfig {
  clientId?: string;
  clientSecret?: string;
  scope?: string;
  callbackPort?: number;
  redirectUri?: string;
}

/** An MCP server in the configuration that is reached at a URL. */
export interface McpRemoteConfig {
  type: 'remote';
  url: string;
  enabled?: boolean;
  headers?: Record<string, string>;
  /** `false` switches its detection off. */
  oauth?: McpOAuthConfig | false;
  /** Milliseconds. */
  timeout?: number;
}

/** Another repository or directory that agents may look into. */
export type ReferenceConfig =
  | string
  | { repository: string; branch?: string; description?: string; hidden?: boolean }
  | { path: string; description?: string; hidden?: boolean };

/** A formatter in the configuration. */
export interface FormatterConfig {
  disabled?: boolean;
  command?: string[];
  environment?: Record<string, string>;
  extensions?: string[];
}

/** A language server in the configuration. */
export type LspConfig =
  | { disabled: true }
  | {
      command: string[];
      extensions?: string[];
      disabled?: boolean;
      env?: Record<string, string>;
      initialization?: Record<string, unknown>;
    };

/** OpenCode's configuration, as in `opencode.json`. */
export interface Config {
  $schema?: string;
  shell?: string;
  logLevel?: 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';
  server?: { port?: number; hostname?: string; mdns?: boolean; mdnsDomain?: string; cors?: string[] };
  command?: Record<string, CommandConfig>;
  skills?: { paths?: string[]; urls?: string[] };
  references?: Record<string, ReferenceConfig>;
  reference?: Record<string, ReferenceConfig>;
  watcher?: { ignore?: string[] };
  snapshot?: boolean;
  plugin?: (string | [name: string, options: Record<string, unknown>])[];
  share?: 'manual' | 'auto' | 'disabled';
  autoshare?: boolean;
  autoupdate?: boolean | 'notify';
  disabled_providers?: string[];
  enabled_providers?: string[];
  /** As `provider/model`. */
  model?: string;
  /** As `provider/model`; for titles and the like. */
  small_model?: string;
  default_agent?: string;
  subagent_depth?: number;
  username?: string;
  mode?: { build?: AgentConfig; plan?: AgentConfig; [name: string]: AgentConfig | undefined };
  agent?: {
    plan?: AgentConfig;
    build?: AgentConfig;
    general?: AgentConfig;
    explore?: AgentConfig;
    title?: AgentConfig;
    summary?: AgentConfig;
    compaction?: AgentConfig;
    [name: string]: AgentConfig | undefined;
  };
  provider?: Record<string, ProviderConfig>;
  mcp?: Record<string, McpLocalConfig | McpRemoteConfig | { enabled: boolean }>;
  /** `true` for the built-in ones, an object to change some or add others. */
  formatter?: boolean | Record<string, FormatterConfig>;
  /** `true` for the built-in ones, an object to change some or add others. */
  lsp?: boolean | Record<string, LspConfig>;
  instructions?: string[];
  layout?: 'auto' | 'stretch';
  permission?: PermissionConfig;
  tools?: Record<string, boolean>;
  attachment?: {
    image?: { auto_resize?: boolean; max_width?: number; max_height?: number; max_base64_bytes?: number };
  };
  enterprise?: { url?: string };
  tool_output?: { max_lines?: number; max_bytes?: number };
  compaction?: {
    auto?: boolean;
    prune?: boolean;
    tail_turns?: number;
    /** Tokens. */
    preserve_recent_tokens?: number;
    /** Tokens. */
    reserved?: number;
  };
  experimental?: {
    disable_paste_summary?: boolean;
    batch_tool?: boolean;
    openTelemetry?: boolean;
    primary_tools?: string[];
    continue_loop_on_deny?: boolean;
    /** Milliseconds. */
    mcp_timeout?: number;
    policies?: { action: 'provider.use'; effect: 'allow' | 'deny'; resource: string }[];
  };
}
export const configSchema = wire<Config>(z.looseObject({}));

/** What a user may send: the server checks it field by field, and newer servers know more fields. */
export const configInputSchema = wire<Config>(z.looseObject({}));
