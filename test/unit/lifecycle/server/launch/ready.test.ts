import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import {
  ConnectionError,
  RequestError,
  ResponseShapeError,
  TimeoutError,
  UnsupportedServerError,
} from '../../../../../src/errors.js';
import {
  assertServer,
  waitUntilHealthy,
  type Probe,
} from '../../../../../src/lifecycle/server/launch/ready.js';

const target = { method: 'GET', path: '/global/health' };
const refused = (status: number): RequestError => new RequestError({ ...target, status });
const healthy = { healthy: true, version: '1.18.33' };

/** A probe that answers, or fails, in this order; the last one for ever. */
function probing(
  ...answers: readonly (Awaited<ReturnType<Probe>> | Error)[]
): ReturnType<typeof vi.fn<Probe>> {
  let next = 0;
  return vi.fn<Probe>(async () => {
    const answer = answers[Math.min(next++, answers.length - 1)];
    if (answer instanceof Error || answer === undefined) throw answer ?? new Error('no answer scripted');
    return answer;
  });
}

const noLimit = new AbortController().signal;

describe('waitUntilHealthy', () => {
  it('returns the version of a healthy server', async () => {
    const probe = probing(healthy);
    await expect(waitUntilHealthy(probe, noLimit)).resolves.toBe('1.18.33');
    expect(probe).toHaveBeenCalledTimes(1);
  });

  it.each<[what: string, early: Awaited<ReturnType<Probe>> | Error]>([
    ['a refused connection', new ConnectionError(target)],
    ['no answer in time', new TimeoutError('GET /global/health', { phase: 'request', timeoutMs: 1 })],
    ['a 503', refused(503)],
    ['a 500', refused(500)],
    ['a server that is not healthy', { healthy: false, version: '1.18.33' }],
  ])('asks the server again after %s', async (_what, early) => {
    const probe = probing(early, early, healthy);
    await expect(waitUntilHealthy(probe, noLimit)).resolves.toBe('1.18.33');
    expect(probe).toHaveBeenCalledTimes(3);
  });

  it('does not judge the version of a server that is not healthy yet', async () => {
    const probe = probing({ healthy: false, version: '' }, healthy);
    await expect(waitUntilHealthy(probe, noLimit)).resolves.toBe('1.18.33');
  });

  it.each(['1.4.2', '2.0.1', 'dev'])(
    'refuses version %s, naming it and the supported versions',
    async (version) => {
      const probe = probing({ healthy: true, version });
      const error = await waitUntilHealthy(probe, noLimit).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(UnsupportedServerError);
      expect(error).toMatchObject({ found: version, supported: expect.stringContaining('1.18') });
      expect(probe).toHaveBeenCalledTimes(1);
    },
  );

  it.each([
    ['a web page', refused(200)],
    ['a 404', refused(404)],
    ['another shape', new ResponseShapeError(target, [{ path: 'version', message: 'expected string' }])],
  ])('takes %s for a server of another kind', async (_what, answer) => {
    const probe = probing(answer);
    const error = await waitUntilHealthy(probe, noLimit).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UnsupportedServerError);
    expect((error as Error).cause).toBe(answer);
    expect(probe).toHaveBeenCalledTimes(1);
  });

  it('stops asking when the server refuses the credentials', async () => {
    const answer = refused(401);
    const probe = probing(answer);
    await expect(waitUntilHealthy(probe, noLimit)).rejects.toBe(answer);
    expect(probe).toHaveBeenCalledTimes(1);
  });

  it('rejects with the reason of its signal while it asks the server', async () => {
    const abort = new AbortController();
    const reason = { because: 'enough' };
    const probe: Probe = (signal) => {
      const pending = new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new ConnectionError(target)));
      });
      abort.abort(reason);
      return pending;
    };
    await expect(waitUntilHealthy(probe, abort.signal)).rejects.toBe(reason);
  });

  it('rejects with the reason of its signal between two requests', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const probe = vi.fn<Probe>(async () => {
      setImmediate(() => abort.abort(reason));
      throw refused(503);
    });
    await expect(waitUntilHealthy(probe, abort.signal)).rejects.toBe(reason);
    expect(probe).toHaveBeenCalledTimes(1);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });
});

describe('waitUntilHealthy with a direct check', () => {
  const failure = (cause: unknown): Error => new Error('a proxy took the requests', { cause });

  it.each<[what: string, error: Error]>([
    ['a proxy that refuses the connection', new ConnectionError(target)],
    [
      'a proxy that does not answer',
      new TimeoutError('GET /global/health', { phase: 'request', timeoutMs: 1 }),
    ],
    ['a proxy that is out of order', refused(503)],
    ['a proxy that forbids the request', refused(403)],
    ['a proxy that shows a page', new ResponseShapeError(target, [])],
  ])('gives up, by the given error, because of %s', async (_what, error) => {
    const answers = vi.fn(async () => true);
    const waiting = waitUntilHealthy(probing(error), noLimit, { answers, failure });
    await expect(waiting).rejects.toThrow('a proxy took the requests');
  });

  it('goes on asking while the server does not answer directly either', async () => {
    const lost = new ConnectionError(target);
    const probe = probing(...Array.from({ length: 10 }, () => lost), healthy);
    const answers = vi.fn(async () => false);
    await expect(waitUntilHealthy(probe, noLimit, { answers, failure })).resolves.toBe('1.18.33');
    expect(answers).toHaveBeenCalled();
  });

  it('asks directly only after several probes have failed', async () => {
    const lost = new ConnectionError(target);
    const answers = vi.fn(async () => true);
    const probe = probing(lost, lost, healthy);
    await expect(waitUntilHealthy(probe, noLimit, { answers, failure })).resolves.toBe('1.18.33');
    expect(answers).not.toHaveBeenCalled();
  });

  it('refuses an unsupported version that a healthy server has', async () => {
    const answers = vi.fn(async () => true);
    const waiting = waitUntilHealthy(probing({ healthy: true, version: '2.0.1' }), noLimit, {
      answers,
      failure,
    });
    await expect(waiting).rejects.toBeInstanceOf(UnsupportedServerError);
  });
});

describe('assertServer', () => {
  const unknown = (): Promise<undefined> => Promise.resolve(undefined);

  it('returns the version of the server', async () => {
    await expect(assertServer(probing(healthy), noLimit, unknown)).resolves.toBe('1.18.33');
  });

  it.each([refused(503), refused(401), new ConnectionError(target, { isRedirect: true })])(
    'rejects with the error of the server and does not ask again: %s',
    async (error) => {
      const probe = probing(error, healthy);
      await expect(assertServer(probe, noLimit, unknown)).rejects.toBe(error);
      expect(probe).toHaveBeenCalledTimes(1);
    },
  );

  it('asks again when the connection breaks, and sheds other stale connections with further requests', async () => {
    const broken = new ConnectionError(target);
    const probe = probing(broken, broken, healthy);
    await expect(assertServer(probe, noLimit, unknown)).resolves.toBe('1.18.33');
    expect(probe.mock.calls.length).toBeGreaterThan(3);
  });

  it('gives up a server that answers nothing', async () => {
    const broken = [1, 2, 3].map(() => new ConnectionError(target));
    await expect(assertServer(probing(...broken, healthy), noLimit, unknown)).rejects.toBe(broken[2]);
  });

  it.each([
    ['an unsupported version', { healthy: true, version: '2.0.0' }, '2.0.0'],
    ['a web page', refused(200), 'of another kind'],
  ])('refuses %s as a server', async (_what, answer, found) => {
    const error = await assertServer(probing(answer), noLimit, unknown).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UnsupportedServerError);
    expect(error).toMatchObject({ found });
  });

  it('names the version of a server of another kind that can be identified', async () => {
    const error = await assertServer(probing(refused(200)), noLimit, () => Promise.resolve('2.0.14')).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: 'UnsupportedServerError', found: '2.0.14' });
  });

  it('rejects with the reason of its signal while it checks the server', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const probe: Probe = async () => {
      abort.abort(reason);
      throw new ConnectionError(target);
    };
    await expect(assertServer(probe, abort.signal, unknown)).rejects.toBe(reason);
  });
});
