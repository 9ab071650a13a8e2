// How OpenCode 2.0.14 tells some turns and stores them: measured on a real server. A line is the type of an event, `@` when it
// names a location, its number and version when it is stored, and the names of its data.

export const TEXT_TURN = [
  'session.created @ #0.1: location model projectID sessionID slug subpath version',
  'session.inbox.enqueued @ #1.1: inboxID item sessionID',
  'session.execution.started #2.1: sessionID',
  'session.instructions.updated @ #3.2: delta sessionID',
  'session.inbox.delivered @ #4.1: inboxID sessionID',
  'session.usage.updated: cost sessionID tokens',
  'session.renamed @ #6.1: sessionID title',
  'session.step.started @ #7.1: agent assistantMessageID model sessionID snapshot started',
  'session.text.started @ #8.1: assistantMessageID ordinal sessionID',
  'session.text.delta @: assistantMessageID delta ordinal sessionID',
  'session.text.ended @ #9.1: assistantMessageID ordinal sessionID text',
  'session.step.streamed @ #10.1: assistantMessageID sessionID',
  'session.step.ended @ #11.1: assistantMessageID cost files finish rawFinish sessionID snapshot tokens',
  'session.usage.updated: cost sessionID tokens',
  'session.execution.succeeded #12.1: sessionID',
];

export const TEXT_ENTRIES = [
  {
    id: 'string',
    time: {
      created: 'number',
    },
    type: 'idle',
    outcome: 'succeeded',
  },
  {
    id: 'string',
    time: {
      created: 'number',
      streamed: 'number',
      completed: 'number',
    },
    type: 'assistant',
    agent: 'string',
    model: {
      id: 'string',
      providerID: 'string',
      variant: 'string',
    },
    content: [
      {
        type: 'text',
        text: 'string',
      },
    ],
    snapshot: {
      start: 'string',
      end: 'string',
      files: [],
    },
    finish: 'stop',
    rawFinish: 'stop',
    cost: 'number',
    tokens: {
      input: 'number',
      output: 'number',
      reasoning: 'number',
      cache: {
        read: 'number',
        write: 'number',
      },
    },
  },
  {
    id: 'string',
    time: {
      created: 'number',
    },
    text: 'string',
    type: 'user',
  },
];

export const TOOL_TURN = [
  'session.created @ #0.1: location projectID sessionID slug subpath version',
  'session.inbox.enqueued @ #1.1: inboxID item sessionID',
  'session.execution.started #2.1: sessionID',
  'session.instructions.updated @ #3.2: delta sessionID',
  'session.inbox.delivered @ #4.1: inboxID sessionID',
  'session.usage.updated: cost sessionID tokens',
  'session.renamed @ #6.1: sessionID title',
  'session.step.started @ #7.1: agent assistantMessageID model sessionID snapshot started',
  'session.tool.input.started @ #8.1: assistantMessageID id name sessionID',
  'session.tool.input.ended @ #9.1: assistantMessageID id sessionID text',
  'session.tool.called @ #10.1: assistantMessageID executed id input sessionID',
  'session.step.streamed @ #11.1: assistantMessageID sessionID',
  'permission.asked @: action id resources save sessionID source',
  'permission.replied @: reply requestID sessionID',
  'session.tool.progress @: assistantMessageID id metadata sessionID',
  'session.tool.success @ #12.2: assistantMessageID content executed id metadata sessionID',
  'session.step.ended @ #13.1: assistantMessageID cost files finish rawFinish sessionID snapshot tokens',
  'session.usage.updated: cost sessionID tokens',
  'session.step.started @ #14.1: agent assistantMessageID model sessionID snapshot started',
  'session.text.started @ #15.1: assistantMessageID ordinal sessionID',
  'session.text.delta @: assistantMessageID delta ordinal sessionID',
  'session.text.ended @ #16.1: assistantMessageID ordinal sessionID text',
  'session.step.streamed @ #17.1: assistantMessageID sessionID',
  'session.step.ended @ #18.1: assistantMessageID cost files finish rawFinish sessionID snapshot tokens',
  'session.usage.updated: cost sessionID tokens',
  'session.execution.succeeded #19.1: sessionID',
];

export const TOOL_ENTRIES = [
  {
    id: 'string',
    time: {
      created: 'number',
    },
    type: 'idle',
    outcome: 'succeeded',
  },
  {
    id: 'string',
    time: {
      created: 'number',
      streamed: 'number',
      completed: 'number',
    },
    type: 'assistant',
    agent: 'string',
    model: {
      id: 'string',
      providerID: 'string',
    },
    content: [
      {
        type: 'text',
        text: 'string',
      },
    ],
    snapshot: {
      start: 'string',
      end: 'string',
      files: [],
    },
    finish: 'stop',
    rawFinish: 'stop',
    cost: 'number',
    tokens: {
      input: 'number',
      output: 'number',
      reasoning: 'number',
      cache: {
        read: 'number',
        write: 'number',
      },
    },
  },
  {
    id: 'string',
    time: {
      created: 'number',
      streamed: 'number',
      completed: 'number',
    },
    type: 'assistant',
    agent: 'string',
    model: {
      id: 'string',
      providerID: 'string',
    },
    content: [
      {
        type: 'tool',
        id: 'string',
        name: 'shell',
        executed: false,
        state: {
          status: 'completed',
          input: {
            command: 'string',
            description: 'string',
          },
          content: [
            {
              type: 'text',
              text: 'string',
            },
          ],
          metadata: {
            status: 'completed',
            truncated: false,
            exit: 'number',
          },
        },
        time: {
          created: 'number',
          ran: 'number',
          completed: 'number',
        },
      },
    ],
    snapshot: {
      start: 'string',
      end: 'string',
      files: [],
    },
    finish: 'tool-calls',
    rawFinish: 'tool_calls',
    cost: 'number',
    tokens: {
      input: 'number',
      output: 'number',
      reasoning: 'number',
      cache: {
        read: 'number',
        write: 'number',
      },
    },
  },
  {
    id: 'string',
    time: {
      created: 'number',
    },
    text: 'string',
    type: 'user',
  },
];

export const REJECTED_TURN = [
  'session.created @ #0.1: location projectID sessionID slug subpath version',
  'session.inbox.enqueued @ #1.1: inboxID item sessionID',
  'session.execution.started #2.1: sessionID',
  'session.instructions.updated @ #3.2: delta sessionID',
  'session.inbox.delivered @ #4.1: inboxID sessionID',
  'session.usage.updated: cost sessionID tokens',
  'session.renamed @ #6.1: sessionID title',
  'session.step.started @ #7.1: agent assistantMessageID model sessionID snapshot started',
  'session.tool.input.started @ #8.1: assistantMessageID id name sessionID',
  'session.tool.input.ended @ #9.1: assistantMessageID id sessionID text',
  'session.tool.called @ #10.1: assistantMessageID executed id input sessionID',
  'session.step.streamed @ #11.1: assistantMessageID sessionID',
  'permission.asked @: action id resources save sessionID source',
  'permission.replied @: reply requestID sessionID',
  'session.tool.failed @ #12.2: assistantMessageID error executed id sessionID',
  'session.step.failed @ #13.1: assistantMessageID cost error files rawFinish sessionID snapshot tokens',
  'session.usage.updated: cost sessionID tokens',
  'session.execution.interrupted #14.1: reason sessionID',
];

export const REJECTED_ENTRIES = [
  {
    id: 'string',
    time: {
      created: 'number',
      streamed: 'number',
      completed: 'number',
    },
    type: 'assistant',
    agent: 'string',
    model: {
      id: 'string',
      providerID: 'string',
    },
    content: [
      {
        type: 'tool',
        id: 'string',
        name: 'shell',
        executed: false,
        state: {
          status: 'error',
          input: {
            command: 'string',
            description: 'string',
          },
          error: {
            type: 'aborted',
            message: 'string',
          },
        },
        time: {
          created: 'number',
          ran: 'number',
          completed: 'number',
        },
      },
    ],
    snapshot: {
      start: 'string',
      end: 'string',
      files: [],
    },
    finish: 'error',
    rawFinish: 'tool_calls',
    cost: 'number',
    tokens: {
      input: 'number',
      output: 'number',
      reasoning: 'number',
      cache: {
        read: 'number',
        write: 'number',
      },
    },
    error: {
      type: 'aborted',
      message: 'string',
    },
  },
  {
    id: 'string',
    time: {
      created: 'number',
    },
    text: 'string',
    type: 'user',
  },
];

export const FAILED_ENTRIES = [
  {
    id: 'string',
    time: {
      created: 'number',
    },
    type: 'idle',
    outcome: 'failed',
  },
  {
    id: 'string',
    time: {
      created: 'number',
      completed: 'number',
    },
    type: 'assistant',
    agent: 'string',
    model: {
      id: 'string',
      providerID: 'string',
    },
    content: [],
    snapshot: {
      start: 'string',
      end: 'string',
      files: [],
    },
    finish: 'error',
    error: {
      type: 'provider.invalid-request',
      message: 'string',
      status: 'number',
    },
  },
  {
    id: 'string',
    time: {
      created: 'number',
    },
    text: 'string',
    type: 'user',
  },
];

export const SESSION = {
  id: 'string',
  projectID: 'string',
  model: {
    id: 'string',
    providerID: 'string',
    variant: 'string',
  },
  cost: 'number',
  tokens: {
    input: 'number',
    output: 'number',
    reasoning: 'number',
    cache: {
      read: 'number',
      write: 'number',
    },
  },
  outcome: 'succeeded',
  time: {
    created: 'number',
    updated: 'number',
    idle: 'number',
  },
  title: 'string',
  location: {
    directory: 'string',
  },
};

export const REJECTED_SESSION = {
  id: 'string',
  projectID: 'string',
  cost: 'number',
  tokens: {
    input: 'number',
    output: 'number',
    reasoning: 'number',
    cache: {
      read: 'number',
      write: 'number',
    },
  },
  time: {
    created: 'number',
    updated: 'number',
  },
  title: 'string',
  location: {
    directory: 'string',
  },
};

export const INTERRUPTED_ENTRIES = [
  {
    id: 'string',
    time: {
      created: 'number',
    },
    type: 'idle',
    outcome: 'interrupted',
  },
  {
    id: 'string',
    time: {
      created: 'number',
      streamed: 'number',
      completed: 'number',
    },
    type: 'assistant',
    agent: 'string',
    model: {
      id: 'string',
      providerID: 'string',
    },
    content: [
      {
        type: 'text',
        text: 'string',
      },
    ],
    snapshot: {
      start: 'string',
      end: 'string',
      files: [],
    },
    finish: 'error',
    error: {
      type: 'aborted',
      message: 'string',
    },
  },
];

export const FORM = {
  form: {
    id: 'string',
    sessionID: 'string',
    title: 'string',
    metadata: {
      kind: 'string',
      tool: {
        messageID: 'string',
        id: 'string',
      },
    },
    fields: [
      {
        key: 'string',
        title: 'string',
        description: 'string',
        type: 'string',
        options: [
          {
            value: 'string',
            label: 'string',
            description: 'string',
          },
        ],
        custom: true,
      },
    ],
  },
};
