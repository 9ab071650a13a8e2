import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** What happens when a tool needs a permission. */
export type PermissionActionConfig = 'ask' | 'allow' | 'deny';

/** One action, or one by pattern, of which the last that matches wins. */
export type PermissionRuleConfig = PermissionActionConfig | Record<string, PermissionActionConfig>;

/** One action for everything, or rules by permission. */
export type PermissionConfig =
  | PermissionActionConfig
  | {
      /** To read files; patterns are paths. */
      read?: PermissionRuleConfig;
      /** To change files: the tools `edit`, `write` and `patch`; patterns are paths. */
      edit?: PermissionRuleConfig;
      /** To find files by a pattern. */
      glob?: PermissionRuleConfig;
      /** To search in files. */
      grep?: PermissionRuleConfig;
      /** To list directories. */
      list?: PermissionRuleConfig;
      /** To run commands; patterns are commands, e.g. `git push *`. */
      bash?: PermissionRuleConfig;
      /** To start subagents; patterns are their names. */
      task?: PermissionRuleConfig;
      /** To use files outside of the repository; patterns are paths. */
      external_directory?: PermissionRuleConfig;
      /** To write the list of todos. */
      todowrite?: PermissionActionConfig;
      /** To ask the user questions. */
      question?: PermissionActionConfig;
      /** To read pages of the web. */
      webfetch?: PermissionActionConfig;
      /** To search the web. */
      websearch?: PermissionActionConfig;
      /** To ask language servers. */
      lsp?: PermissionRuleConfig;
      /** To go on when the same tool is called again and again with the same input. */
      doom_loop?: PermissionActionConfig;
      /** To load skills; patterns are their names. */
      skill?: PermissionRuleConfig;
      /** Of any other permission, e.g. of a tool of your own. */
      [permission: string]: PermissionRuleConfig | undefined;
    };

/** An agent in the configuration. */
export interface AgentConfig {
  /** As `provider/model`. */
  model?: string;
  /** Name of one of the model's {@link ModelConfig.variants}. */
  variant?: string;
  /** Sampling temperature, passed to the model. */
  temperature?: number;
  /** Nucleus sampling, 0 to 1, passed to the model. */
  top_p?: number;
  /** The system prompt, in place of the built-in one. */
  prompt?: string;
  /** Which tools it has, by name. OpenCode turns it into {@link AgentConfig.permission}, which is the way to write it now. */
  tools?: Record<string, boolean>;
  /** Takes the agent away. */
  disable?: boolean;
  /** When to use it; other agents choose a subagent by it. */
  description?: string;
  /** Whether users choose it, other agents start it, or both. */
  mode?: 'subagent' | 'primary' | 'all';
  /** Leaves a subagent out of the list that users see. */
  hidden?: boolean;
  /** Options of the provider for its requests. */
  options?: Record<string, unknown>;
  /** `#rrggbb`, or a color of the theme such as `primary`. */
  color?: string;
  /** How often the model is asked in one turn at most; then it must answer in text. */
  steps?: number;
  /** An older name of {@link AgentConfig.steps}. */
  maxSteps?: number;
  /** What its tools may do. */
  permission?: PermissionConfig;
  /** OpenCode takes other fields for {@link AgentConfig.options}. */
  [option: string]: unknown;
}

/** A command in the configuration. */
export interface CommandConfig {
  /** The prompt; `$ARGUMENTS`, `$1`, `$2` … stand for what the user adds. */
  template: string;
  /** What it does, for people. */
  description?: string;
  /** Name of the agent that runs it. */
  agent?: string;
  /** As `provider/model`. */
  model?: string;
  /** Name of one of the model's variants. */
  variant?: string;
  /** Runs it in a child session. */
  subtask?: boolean;
}

/** What a model takes or gives. @inline */
type Modality = 'text' | 'audio' | 'image' | 'video' | 'pdf';

/** A model in the configuration. */
export interface ModelConfig {
  /** What the provider calls it. @default its key in `models` */
  id?: string;
  /** What people call it. */
  name?: string;
  /** The family of models it belongs to. */
  family?: string;
  /** `YYYY-MM-DD`. */
  release_date?: string;
  /** Whether it takes files. */
  attachment?: boolean;
  /** Whether it thinks before it answers. */
  reasoning?: boolean;
  /** Whether it takes a temperature. */
  temperature?: boolean;
  /** Whether it calls tools. */
  tool_call?: boolean;
  /** Whether its reasoning comes between its tool calls, or the field of an answer in which it comes. */
  interleaved?:
    | boolean
    | string
    | {
        /** Name of the field, e.g. `reasoning_content`. */
        field: string;
      };
  /** US dollars per million tokens. */
  cost?: {
    /** Of what is sent. */
    input: number;
    /** Of what the model writes. */
    output: number;
    /** Of what is read from the provider's cache. */
    cache_read?: number;
    /** Of what is written into it. */
    cache_write?: number;
    /** The same for requests of more than 200,000 tokens. */
    context_over_200k?: {
      /** Of what is sent. */
      input: number;
      /** Of what the model writes. */
      output: number;
      /** Of what is read from the provider's cache. */
      cache_read?: number;
      /** Of what is written into it. */
      cache_write?: number;
    };
  };
  /** Tokens. */
  limit?: {
    /** Of a request and its answer together; OpenCode summarizes before it is reached. */
    context: number;
    /** Of a request. */
    input?: number;
    /** Of an answer. */
    output: number;
  };
  /** Kinds of content. */
  modalities?: {
    /** What it takes. */
    input?: Modality[];
    /** What it gives. */
    output?: Modality[];
  };
  /** Offers it only where experimental models are switched on. */
  experimental?: boolean;
  /** How ready it is; OpenCode leaves out `deprecated` ones. */
  status?: 'alpha' | 'beta' | 'deprecated' | 'active';
  /** Where it differs from its provider. */
  provider?: {
    /** Package of the AI SDK that talks to it. */
    npm?: string;
    /** URL of its API. */
    api?: string;
  };
  /** Options of the provider for its requests. */
  options?: Record<string, unknown>;
  /** Headers of its requests. */
  headers?: Record<string, string>;
  /** Named sets of options, e.g. `high` for more thinking. */
  variants?: Record<
    string,
    {
      /** Takes the variant away. */
      disabled?: boolean;
      /** An option of the provider. */
      [option: string]: unknown;
    }
  >;
}

/** A provider in the configuration. */
export interface ProviderConfig {
  /** URL of its API. */
  api?: string;
  /** What people call it. */
  name?: string;
  /** Names of the environment variables that may hold its key. */
  env?: string[];
  /** What OpenCode calls it. @default its key in `provider` */
  id?: string;
  /** Package of the AI SDK that talks to it, e.g. `@ai-sdk/openai-compatible`. */
  npm?: string;
  /** Ids of its models to offer; others are left out. */
  whitelist?: string[];
  /** Ids of its models to leave out. */
  blacklist?: string[];
  /** Options of that package, and of OpenCode for its requests. */
  options?: {
    /** In the clear: keep it out of logs. */
    apiKey?: string;
    /** URL of its API, in place of the built-in one. */
    baseURL?: string;
    /** URL of a GitHub Enterprise server, for Copilot. */
    enterpriseUrl?: string;
    /** Sends a key by which the provider finds what it has cached of a session. */
    setCacheKey?: boolean;
    /** Milliseconds for a whole request. */
    timeout?: number | false;
    /** Milliseconds until the headers of an answer arrive. */
    headerTimeout?: number | false;
    /** Milliseconds between two pieces of a stream. */
    chunkTimeout?: number | false;
    /** An option of the package. */
    [option: string]: unknown;
  };
  /** Its models by id: more than the built-in ones, or changes to them. */
  models?: Record<string, ModelConfig>;
}

/** An MCP server in the configuration that OpenCode starts. */
export interface McpLocalConfig {
  type: 'local';
  /** The program and its arguments. */
  command: string[];
  /** Where it runs. @default the repository */
  cwd?: string;
  /** Variables added to its environment. */
  environment?: Record<string, string>;
  /** `false` leaves it off. @default true */
  enabled?: boolean;
  /** Milliseconds. */
  timeout?: number;
}

/** How OpenCode signs in to an MCP server. */
export interface McpOAuthConfig {
  /** Of a client that is registered there already. @default OpenCode registers one */
  clientId?: string;
  /** Of that client. */
  clientSecret?: string;
  /** What to ask access to, separated by spaces. */
  scope?: string;
  /** Port on loopback to which the browser comes back. */
  callbackPort?: number;
  /** URL to which the browser comes back. */
  redirectUri?: string;
}

/** An MCP server in the configuration that is reached at a URL. */
export interface McpRemoteConfig {
  type: 'remote';
  /** Where it is. */
  url: string;
  /** `false` leaves it off. @default true */
  enabled?: boolean;
  /** Headers of every request to it. */
  headers?: Record<string, string>;
  /** `false` switches its detection off. */
  oauth?: McpOAuthConfig | false;
  /** Milliseconds. */
  timeout?: number;
}

/** Another repository or directory that agents may look into: a path or a repository as text, or one of the two forms. */
export type ReferenceConfig =
  | string
  | {
      /** URL of a git repository, or `owner/name` on GitHub. */
      repository: string;
      /** Which branch of it. */
      branch?: string;
      /** What it is for; agents read it. */
      description?: string;
      /** Leaves it out of the list that users see. */
      hidden?: boolean;
    }
  | {
      /** A directory on the server's machine. */
      path: string;
      /** What it is for; agents read it. */
      description?: string;
      /** Leaves it out of the list that users see. */
      hidden?: boolean;
    };

/** A formatter in the configuration. */
export interface FormatterConfig {
  /** Takes it away. */
  disabled?: boolean;
  /** The program and its arguments; `$FILE` stands for the file. */
  command?: string[];
  /** Variables added to its environment. */
  environment?: Record<string, string>;
  /** Of the files it formats, e.g. `.ts`. */
  extensions?: string[];
}

/** A language server in the configuration. */
export type LspConfig =
  | {
      /** Takes it away. */
      disabled: true;
    }
  | {
      /** The program and its arguments. */
      command: string[];
      /** Of the files it knows, e.g. `.ts`. */
      extensions?: string[];
      /** Takes it away. */
      disabled?: boolean;
      /** Variables added to its environment. */
      env?: Record<string, string>;
      /** What is sent with the request `initialize`. */
      initialization?: Record<string, unknown>;
    };

/** OpenCode's configuration, as in `opencode.json`. */
export interface Config {
  /** URL of its JSON schema, for editors. */
  $schema?: string;
  /** Shell that runs commands and terminals. */
  shell?: string;
  /** What OpenCode writes into its own log. */
  logLevel?: 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';
  /** How `opencode serve` listens when its command line does not say. This library always says. */
  server?: {
    port?: number;
    hostname?: string;
    /** Announces the server on the local network. */
    mdns?: boolean;
    /** Name under which it is announced. */
    mdnsDomain?: string;
    /** Origins of pages that may call it. */
    cors?: string[];
  };
  /** Commands by name. */
  command?: Record<string, CommandConfig>;
  /** More places to look for skills. */
  skills?: {
    /** Directories. */
    paths?: string[];
    /** URLs of indexes. */
    urls?: string[];
  };
  /** Other repositories and directories by name. */
  references?: Record<string, ReferenceConfig>;
  /** An older name of {@link Config.references}. */
  reference?: Record<string, ReferenceConfig>;
  /** Watching of files. */
  watcher?: {
    /** Patterns of paths not to watch. */
    ignore?: string[];
  };
  /** Whether OpenCode keeps snapshots of the files, which `session.revert()` needs. */
  snapshot?: boolean;
  /** Plugins by package or path, each with options or without. OpenCode runs their code in its own process. */
  plugin?: (string | [name: string, options: Record<string, unknown>])[];
  /** Whether sessions are shared by request, always or never. */
  share?: 'manual' | 'auto' | 'disabled';
  /** An older form of `share: 'auto'`. */
  autoshare?: boolean;
  /** Whether OpenCode updates itself, or says that it could. */
  autoupdate?: boolean | 'notify';
  /** Ids of providers to leave out. */
  disabled_providers?: string[];
  /** Ids of providers to offer; others are left out. */
  enabled_providers?: string[];
  /** As `provider/model`. */
  model?: string;
  /** As `provider/model`; for titles and the like. */
  small_model?: string;
  /** Name of the agent of a prompt that names none. */
  default_agent?: string;
  /** How deep subagents may start subagents. */
  subagent_depth?: number;
  /** What the user is called. */
  username?: string;
  /** An older name of {@link Config.agent}. */
  mode?: { build?: AgentConfig; plan?: AgentConfig; [name: string]: AgentConfig | undefined };
  /** Agents by name: changes to the built-in ones, and others. */
  agent?: {
    /** Plans and changes no file. */
    plan?: AgentConfig;
    /** The usual one. */
    build?: AgentConfig;
    /** A subagent for anything. */
    general?: AgentConfig;
    /** A subagent that looks for things in the code. */
    explore?: AgentConfig;
    /** Writes the titles of sessions. */
    title?: AgentConfig;
    /** Writes summaries of what was done. */
    summary?: AgentConfig;
    /** Summarizes a session that grows too long. */
    compaction?: AgentConfig;
    /** Any other one. */
    [name: string]: AgentConfig | undefined;
  };
  /** Providers by id: changes to the built-in ones, and others. */
  provider?: Record<string, ProviderConfig>;
  /** MCP servers by name; `{ enabled: false }` leaves one off that another file names. */
  mcp?: Record<string, McpLocalConfig | McpRemoteConfig | { enabled: boolean }>;
  /** `true` for the built-in ones, an object to change some or add others. */
  formatter?: boolean | Record<string, FormatterConfig>;
  /** `true` for the built-in ones, an object to change some or add others. */
  lsp?: boolean | Record<string, LspConfig>;
  /** Paths, patterns or URLs of more instructions for every agent. */
  instructions?: string[];
  /** Layout of the TUI. */
  layout?: 'auto' | 'stretch';
  /** What the tools of every agent may do. */
  permission?: PermissionConfig;
  /** Which tools there are, by name; an older form of {@link Config.permission}. */
  tools?: Record<string, boolean>;
  /** What is done to files of a prompt. */
  attachment?: {
    image?: {
      /** Makes images smaller that are larger than the limits below. */
      auto_resize?: boolean;
      /** Pixels. */
      max_width?: number;
      /** Pixels. */
      max_height?: number;
      /** Bytes of the base64 text. */
      max_base64_bytes?: number;
    };
  };
  enterprise?: {
    /** Where shared sessions go. */
    url?: string;
  };
  /** How much of a tool's output the model is shown; the rest goes into a file. */
  tool_output?: {
    max_lines?: number;
    max_bytes?: number;
  };
  /** How OpenCode summarizes a session that grows too long. */
  compaction?: {
    /** Whether it does so by itself. */
    auto?: boolean;
    /** Whether it leaves out the output of old tool calls. */
    prune?: boolean;
    /** How many of the last turns are kept as they are. */
    tail_turns?: number;
    /** Tokens. */
    preserve_recent_tokens?: number;
    /** Tokens. */
    reserved?: number;
  };
  /** What may change or go without notice. */
  experimental?: {
    /** Shows pasted text as it is, in the TUI. */
    disable_paste_summary?: boolean;
    /** Adds a tool that calls several tools. */
    batch_tool?: boolean;
    /** Traces the calls of models. */
    openTelemetry?: boolean;
    /** Names of tools that only primary agents have. */
    primary_tools?: string[];
    /** Lets a turn go on after a denied permission. */
    continue_loop_on_deny?: boolean;
    /** Milliseconds. */
    mcp_timeout?: number;
    /** Which providers may be used. */
    policies?: {
      action: 'provider.use';
      effect: 'allow' | 'deny';
      /** Pattern of provider ids. */
      resource: string;
    }[];
  };
}
export const configSchema = lazy(() => wire<Config>(z.looseObject({})));

/** What a user may send: the server checks it field by field, and newer servers know more fields. */
export const configInputSchema = lazy(() => wire<Config>(z.looseObject({})));
