import { describe, expect, it } from 'vitest';
import { loadAdvice } from '../../../../src/client/http/load-advice.js';

describe('loadAdvice', () => {
  it('advises a restart when the server could not load the repository, and only then', () => {
    const target = { method: 'GET', path: '/path' };
    expect(loadAdvice(target, 500)).toContain('configuration file');
    expect(loadAdvice(target, 500)).toContain('server.restart()');
    expect(loadAdvice(target, 404)).toBeUndefined();
    expect(loadAdvice({ ...target, path: '/file' }, 500)).toBeUndefined();
  });
});
