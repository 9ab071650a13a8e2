import { describe, expect, it } from 'vitest';
import { modelSchema } from '../../../../src/client/schema/model.js';

describe('a model', () => {
  it.each([
    ['openrouter/anthropic/claude', { providerID: 'openrouter', modelID: 'anthropic/claude' }],
    [
      { providerID: 'p', modelID: 'm' },
      { providerID: 'p', modelID: 'm' },
    ],
    [
      { providerID: 'p', id: 'm', variant: 'high' },
      { providerID: 'p', modelID: 'm', variant: 'high' },
    ],
  ])('reads a model from %j', (input, model) => {
    expect(modelSchema().parse(input)).toEqual(model);
  });

  it.each([
    'm',
    '/m',
    'p/',
    '',
    7,
    null,
    { providerID: 'p' },
    { providerID: '', modelID: 'm' },
    { providerID: 'p', modelID: 'm', id: 'm' },
    { providerID: 'p', modelID: 'm', name: 'x' },
  ])('refuses %j as a model', (input) => {
    expect(modelSchema().safeParse(input)).toMatchObject({
      success: false,
      error: { issues: [{ message: expect.stringContaining("'provider/model'") as string }] },
    });
  });
});
