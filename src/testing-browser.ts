// Every export of this file is public API in a browser: the test kit without what needs a process.
import { JarvisClient as JarvisOpenCode } from './app/jarvis-client.js';
import type { JarvisOptions } from './app/options.js';
import { withClients, type WithClients } from './testing/clients.js';
import { makeMockServer, type MockOpenCodeOptions, type MockServer } from './testing/mock-opencode.js';

export {
  aFilePart,
  aMessage,
  anAssistantMessage,
  anEvent,
  aPermissionRequest,
  aPty,
  aQuestionRequest,
  aReasoningPart,
  aSession,
  aStepFinishPart,
  aStepStartPart,
  aTextPart,
  aTodo,
  aToolPart,
  aToolState,
  aUserMessage,
  type BuiltEvent,
} from './testing/builders.js';
export type { MockInstance } from './testing/state/instances.js';
export type { MockOpenCodeOptions, MockServer, MockStream } from './testing/mock-opencode.js';
export type {
  MockAnswer,
  MockHandler,
  MockHandlerRequest,
  MockOperation,
  MockOperations,
} from './testing/http/operations.js';
export type { RequestFailure } from './testing/http/request-faults.js';
export type { MockRequest } from './testing/http/route.js';
export type { MockScript, MockScriptInput, ScriptOptions } from './testing/script/script.js';
export type { MockShell } from './testing/scripted-server.js';
export {
  afterTools,
  ask,
  empty,
  fail,
  hang,
  question,
  reasoning,
  retry,
  subtask,
  text,
  tool,
  usage,
  wait,
  waitFor,
  type AskOptions,
  type MockAsk,
  type MockQuestion,
  type MockStep,
  type MockSteps,
  type MockToolResult,
  type QuestionInput,
  type TextOptions,
} from './testing/script/steps.js';
export type { MockEvent } from './testing/state/stream-faults.js';
export type { MockTerminal, MockTerminalProgram } from './testing/state/terminal.js';

/** An OpenCode server in memory, and what a test may tell it and ask it. */
export type MockOpenCode = MockServer & WithClients<JarvisOpenCode, JarvisOptions>;

/**
 * Makes an OpenCode server in memory that behaves like a real one, without a port, a key or a model.
 *
 * @throws {TypeError} for a `url` that is no http URL, and a model that is not written as `provider/model`.
 * @throws {Error} when another open mock has this `url`.
 *
 * @example
 * ```ts
 * const mock = mockOpenCode();
 * const server = setupServer(...mock.handlers);
 * server.listen({ onUnhandledRequest: 'error' });
 * mock.reply('It is a calculator.');
 * const jarvis = await mock.client();
 * const session = await jarvis.forRepo('/home/me/app').sessions.create();
 * const { text } = await session.prompt('What does this project do?');
 * ```
 */
export function mockOpenCode(options: MockOpenCodeOptions = {}): MockOpenCode {
  const server = makeMockServer(options, mockOpenCode);
  return withClients(server, (clientOptions?: JarvisOptions) =>
    JarvisOpenCode.connect({ ...server.connectOptions, ...clientOptions }),
  );
}
