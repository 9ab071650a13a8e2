// Every export of this file is public API of the test kit, in Node and in a browser: adding one is a promise, removing one
// breaks a user.
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
} from './builders.js';
export type { MockFleetServers } from './mock-fleet.js';
export type { MockOpenCodeOptions, MockServer, MockStream } from './mock-types.js';
export type {
  MockAnswer,
  MockHandler,
  MockHandlerRequest,
  MockOperation,
  MockOperations,
} from './http/operations.js';
export type { RequestFailure } from './http/request-faults.js';
export type { MockRequest } from './http/route.js';
export type { MockShell } from './model/turns.js';
export type { MockScript, MockScriptInput, ScriptOptions } from './script/script.js';
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
} from './script/steps.js';
export type { MockInstance } from './state/instances.js';
export type { MockEvent } from './state/stream-faults.js';
export type { MockTerminal, MockTerminalProgram } from './state/terminal.js';
