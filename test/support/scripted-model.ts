// The scripted model is part of the test kit; the tests of the library ask it for single calls of the model.
export * from './model-steps.js';
export { opencodeConfig, type OpenCodeConfig } from '../../src/testing/real/opencode-config.js';
export type { ModelAnswerEnd } from '../../src/testing/real/model-player.js';
export type { ModelMessage, ModelTurn } from '../../src/testing/real/model-turn.js';
export {
  SCRIPTED_TITLE,
  startScriptedModel,
  type ModelAnswers,
  type ModelRequest,
  type ModelScript,
  type ScriptedModel,
} from '../../src/testing/real/scripted-model.js';
