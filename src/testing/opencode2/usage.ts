import type { Tokens } from '../../client/schema/session.js';
import { noTokens } from '../state/session-store.js';

/** What the calls of the model have used, by session; the calls for titles count too. */
export class Usage {
  readonly #totals = new Map<string, { readonly cost: number; readonly tokens: Tokens }>();

  of(sessionID: string): { readonly cost: number; readonly tokens: Tokens } {
    return this.#totals.get(sessionID) ?? { cost: 0, tokens: noTokens() };
  }

  add(sessionID: string, cost: number, { input, output, reasoning }: Tokens): void {
    const { cost: before, tokens } = this.of(sessionID);
    this.#totals.set(sessionID, {
      cost: before + cost,
      tokens: {
        input: tokens.input + input,
        output: tokens.output + output,
        reasoning: tokens.reasoning + reasoning,
        cache: tokens.cache,
      },
    });
  }
}
