import { describe, expect, it } from 'vitest';
import { ForeignUse } from '../../../src/registry/foreign-use.js';

describe('ForeignUse', () => {
  it('sees a session of another client until this client works with it too', () => {
    const foreign = new ForeignUse();
    foreign.saw('ses_1');
    expect(foreign.isSeen).toBe(true);
    foreign.claim('ses_1');
    expect(foreign.isSeen).toBe(false);
  });

  it('does not take a session of this client for one of others', () => {
    const foreign = new ForeignUse();
    foreign.claim('ses_1');
    foreign.saw('ses_1');
    expect(foreign.isSeen).toBe(false);
  });

  it('sees others for good after 1,000 sessions of theirs, until the instance is gone', () => {
    const foreign = new ForeignUse();
    const ids = Array.from({ length: 1_001 }, (_, index) => `ses_${index}`);
    for (const id of ids) foreign.saw(id);
    for (const id of ids) foreign.claim(id);
    expect(foreign.isSeen).toBe(true);
    foreign.clear();
    expect(foreign.isSeen).toBe(false);
  });
});
