import { expect, it, vi } from 'vitest';
import { SessionActivity } from '../../../../src/client/sessions/session-activity.js';

function activity() {
  const server = new Set<string>();
  const seen = new Set<string>();
  const stream = { epoch: 1 as number | undefined };
  const send = vi.fn(() =>
    Promise.resolve(Object.fromEntries([...server].map((id) => [id, { type: 'busy' }]))),
  );
  const sessions = new SessionActivity({ send } as never, {
    epoch: () => stream.epoch,
    isBusy: (id) => seen.has(id),
  });
  return { server, seen, stream, send, sessions };
}

it('asks once in each period of the event stream whether a session is idle, and each time while it is busy', async () => {
  const { server, seen, stream, send, sessions } = activity();
  expect(await sessions.isIdle('ses_1')).toBe(true);
  expect(await sessions.isIdle('ses_2')).toBe(true);
  expect(send).toHaveBeenCalledTimes(1);

  server.add('ses_1');
  seen.add('ses_1');
  expect(await sessions.isIdle('ses_1')).toBe(false);
  expect(await sessions.isIdle('ses_2')).toBe(true);
  // Its end is on its way.
  server.clear();
  expect(await sessions.isIdle('ses_1')).toBe(true);
  expect(send).toHaveBeenCalledTimes(3);

  stream.epoch = 2;
  seen.clear();
  expect(await sessions.isIdle('ses_1')).toBe(true);
  expect(send).toHaveBeenCalledTimes(4);
});

it('asks each time as long as something is at work that it has not seen begin, or the stream is down', async () => {
  const { server, stream, send, sessions } = activity();
  server.add('ses_1');
  expect(await sessions.isIdle('ses_1')).toBe(false);
  expect(await sessions.isIdle('ses_2')).toBe(true);
  server.clear();
  expect(await sessions.isIdle('ses_1')).toBe(true);
  expect(await sessions.isIdle('ses_1')).toBe(true);
  expect(send).toHaveBeenCalledTimes(3);

  stream.epoch = undefined;
  await sessions.isIdle('ses_1');
  await sessions.isIdle('ses_1');
  expect(send).toHaveBeenCalledTimes(5);
});
