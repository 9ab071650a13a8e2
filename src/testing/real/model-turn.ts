import type { MockToolResult } from '../script/steps.js';

/** A chat message, as the provider receives it. */
export interface ModelMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content?: string | readonly { readonly type: string; readonly text?: string }[] | null;
  readonly tool_calls?: readonly {
    readonly id: string;
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
  /** The call that a message with the role `tool` answers. */
  readonly tool_call_id?: string;
}

/** One request of OpenCode to its model, which a script answers. */
export interface ModelTurn {
  /** The text of the last user message. */
  readonly prompt: string;
  readonly messages: readonly ModelMessage[];
  /** The number of tool results since the last user message: 0 in the first call of a turn. */
  readonly step: number;
  /** The names of the tools that the model can call. */
  readonly tools: readonly string[];
  /** The id of the session, which OpenCode 1.18.33 sends in the header `x-session-id`. */
  readonly sessionID: string | undefined;
}

/** Reads a chat request. */
export function turnOf(
  body: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string | readonly string[] | undefined>> = {},
): ModelTurn {
  const messages = (body['messages'] ?? []) as readonly ModelMessage[];
  const tools = (body['tools'] ?? []) as readonly { readonly function: { readonly name: string } }[];
  const sessionID = headers['x-session-id'];
  const lastUser = messages.findLastIndex((message) => message.role === 'user');
  return {
    prompt: textOf(messages[lastUser]),
    messages,
    step: messages.slice(lastUser + 1).filter((message) => message.role === 'tool').length,
    tools: tools.map((tool) => tool.function.name),
    sessionID: typeof sessionID === 'string' ? sessionID : undefined,
  };
}

/** The results of the tools that the model called last. */
export function resultsOf({ messages }: ModelTurn): MockToolResult[] {
  const calls = messages.findLast((message) => message.role === 'assistant')?.tool_calls ?? [];
  return calls.map(({ id, function: called }) => ({
    tool: called.name,
    input: JSON.parse(called.arguments) as Record<string, unknown>,
    output: textOf(messages.find((message) => message.tool_call_id === id)),
  }));
}

/** Whether OpenCode asks for a session title: its title agent has its own system prompt and no tools. */
export function isTitleRequest(turn: ModelTurn): boolean {
  return turn.tools.length === 0 && textOf(turn.messages[0]).startsWith('You are a title generator');
}

/** Whether OpenCode asks for the summary of a session: that agent has its own system prompt and no tools. */
export function isSummaryRequest(turn: ModelTurn): boolean {
  return (
    turn.tools.length === 0 && textOf(turn.messages[0]).startsWith('You are a context summarization agent')
  );
}

function textOf(message: ModelMessage | undefined): string {
  const content = message?.content ?? '';
  if (typeof content === 'string') return content;
  return content.map((part) => part.text ?? '').join('\n');
}
