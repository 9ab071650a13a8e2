import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, languageModel } from '../../examples/ai-sdk.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text } from '../support/model-steps.js';

const ROUNDS = 10;

let world: RealJarvis;

beforeAll(async () => {
  world = await realJarvis({ script: ({ prompt }) => [text(`re: ${prompt}`)] });
});
afterAll(() => world[Symbol.asyncDispose]());

describe('the AI SDK with its OpenCode provider over repo.fetch', () => {
  it('gives the AI SDK the text of each prompt, also of one that it streams right after another', async () => {
    const repo = world.jarvis.forRepo((await world.repo()).directory);
    const model = languageModel(repo, 'scripted/scripted');
    const texts: string[] = [];
    const prompts = Array.from({ length: ROUNDS }, (_, n): [string, string] => [`first ${n}`, `second ${n}`]);
    for (const pair of prompts) for await (const answer of ask(model, pair)) texts.push(answer);
    expect(texts).toEqual(prompts.flat().map((prompt) => `re: ${prompt}`));
  });
});
