import type { ScriptedModel } from './scripted-model.js';

/** Configuration of OpenCode, as in `opencode.json`. @inline */
export type OpenCodeConfig = Record<string, unknown>;

/**
 * Configures OpenCode to use the scripted model for everything, to allow every tool and to stay off the
 * network.
 *
 * @param overrides - replaces whole top-level keys, e.g. `{ permission: { bash: 'ask' } }`.
 */
export function opencodeConfig(
  model: Pick<ScriptedModel, 'baseURL'>,
  overrides: OpenCodeConfig = {},
): OpenCodeConfig {
  return {
    provider: {
      scripted: {
        name: 'Scripted',
        npm: '@ai-sdk/openai-compatible', // bundled in the binary: nothing is installed for it
        options: { baseURL: model.baseURL, apiKey: 'none' },
        models: {
          scripted: {
            name: 'Scripted',
            tool_call: true,
            reasoning: true,
            limit: { context: 200_000, output: 8_192 },
            cost: { input: 1, output: 2 },
          },
        },
      },
    },
    enabled_providers: ['scripted'],
    model: 'scripted/scripted',
    small_model: 'scripted/scripted',
    permission: { '*': 'allow' },
    autoupdate: false,
    share: 'disabled',
    snapshot: false,
    ...overrides,
  };
}
