// Every export of this file is public API: adding one is a promise, removing one breaks a user.
export { mockOpenCode, type MockOpenCode, type MockOpenCodeOptions } from './mock-opencode.js';
export type { MockInstance } from './instances.js';
export type { MockRequest } from './router.js';
export type { MockScript, MockScriptInput } from './script.js';
export { fail, hang, text, tool, wait, waitFor, type MockStep, type TextOptions } from './steps.js';
