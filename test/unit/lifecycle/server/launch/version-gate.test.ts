import { describe, expect, it } from 'vitest';
import { isSupportedVersion, SUPPORTED_SERVERS } from '../../../../../src/core/version.js';

describe('the supported server versions', () => {
  it.each(['1.18.0', '1.18.33', '1.19.0', '1.100.2', 'v1.18.33', '1.18.0-beta.1'])(
    'supports the server version %s',
    (version) => {
      expect(isSupportedVersion(version)).toBe(true);
    },
  );

  it.each([
    ...['1.17.99', '1.4.2', '1.1.18', '0.18.0', '2.0.0', '2.18.33', '10.18.0', '11.18.33'],
    ...['', 'dev', 'local', '1', '1.x.3', 'opencode v2.0.1', 'server 1.18.33', 'latest'],
  ])('does not support the server version %j', (version) => {
    expect(isSupportedVersion(version)).toBe(false);
  });

  it('describes the supported server versions by words that name the first one', () => {
    expect(SUPPORTED_SERVERS).toContain('1.18');
  });
});
