import { mockOpenCode } from 'jarvis-opencode/testing';
import { setupServer } from 'msw/node';
import { expect, it } from 'vitest';

it('carries on when the logger of the application throws', async () => {
  const mock = mockOpenCode();
  const net = setupServer(...mock.handlers);
  net.listen({ onUnhandledRequest: 'error' });
  let lines = 0;
  const fail = (): never => {
    lines += 1;
    throw new Error('no space left on device');
  };
  try {
    const jarvis = await mock.client({ logger: { debug: fail, info: fail, warn: fail, error: fail } });
    const repo = jarvis.forRepo(await mock.repo('app'));
    mock.reply('Fine.');
    expect((await (await repo.sessions.create()).prompt('How are you?')).text).toBe('Fine.');
    expect(await repo.dispose()).toMatchObject({ disposed: true });
    expect(lines).toBeGreaterThan(0);
  } finally {
    await mock.close();
    net.close();
  }
});
