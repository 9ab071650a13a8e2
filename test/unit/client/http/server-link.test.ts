import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { Http } from '../../../../src/client/http/http.js';
import type { HttpRequest } from '../../../../src/client/http/request.js';
import type { FetchFunction } from '../../../../src/client/http/request-options.js';
import { ServerLink } from '../../../../src/client/http/server-link.js';
import { ClosedError, ConnectionError, ServerLostError, TimeoutError } from '../../../../src/errors.js';
import { deferred } from '../../../support/wait.js';

const lost = new ServerLostError('The work on the server');
const get = { method: 'GET', path: '/thing', schema: z.string } as const;
const post: HttpRequest<string> = { ...get, method: 'POST' };

function broken(code: string): TypeError {
  return new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });
}

/** A server that is replaced by another one, and what each of them is sent. */
class World {
  readonly link = new ServerLink(true);
  readonly sent: string[] = [];
  readonly over = new AbortController();
  /** What the server there is answers. */
  answer: () => Promise<Response> = () => Promise.resolve(Response.json('one'));
  #run = 1;
  readonly #fetch: FetchFunction = (input, init) => {
    const { authorization } = init?.headers as Record<string, string>;
    this.sent.push(`${init?.method} ${input as string} ${authorization}`);
    return this.answer();
  };
  readonly http = new Http({
    endpoint: () => ({ url: `http://server-${this.#run}`, authorization: `Basic ${this.#run}` }),
    signal: this.over.signal,
    fetch: this.#fetch,
    link: this.link,
  });

  /** Another server is there. */
  found(): void {
    this.#run += 1;
    this.answer = () => Promise.resolve(Response.json(`from ${this.#run}`));
    this.link.markReady();
  }
}

const hangs = (): Promise<Response> => new Promise(() => undefined);

describe('a request while the server is replaced', () => {
  it('holds a request back while the server is replaced, then sends it with the credentials of the next server', async () => {
    const world = new World();
    world.link.markLost(lost);
    const answers = [world.http.send(get), world.http.send(post)];
    await Promise.resolve();
    expect(world.sent).toEqual([]);
    world.found();
    expect(await Promise.all(answers)).toEqual(['from 2', 'from 2']);
    expect(world.sent).toEqual(['GET http://server-2/thing Basic 2', 'POST http://server-2/thing Basic 2']);
  });

  it('holds a request back no longer than its own limits, and leaves nothing on the signals', async () => {
    const world = new World();
    world.link.markLost(lost);
    await expect(world.http.send(get, { timeoutMs: 5 })).rejects.toBeInstanceOf(TimeoutError);
    const caller = new AbortController();
    const waiting = world.http.send(post, { signal: caller.signal });
    const closed = world.http.send(post);
    caller.abort('enough');
    await expect(waiting).rejects.toBe('enough');
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    const reason = new ClosedError();
    world.over.abort(reason);
    await expect(closed).rejects.toBe(reason);
    expect(world.sent).toEqual([]);
  });
});

describe('a request under way when the server is lost', () => {
  it('repeats a GET on the next server when the server is lost', async () => {
    const world = new World();
    world.answer = hangs;
    const answer = world.http.send(get);
    await vi.waitFor(() => expect(world.sent).toHaveLength(1));
    world.link.markLost(lost);
    world.found();
    expect(await answer).toBe('from 2');
    expect(world.sent).toHaveLength(2);
  });

  it.each(['POST', 'PATCH', 'PUT', 'DELETE'] as const)(
    'repeats no %s when the server is lost',
    async (method) => {
      const world = new World();
      world.answer = hangs;
      const answer = world.http.send({ ...get, method });
      await vi.waitFor(() => expect(world.sent).toHaveLength(1));
      world.link.markLost(lost);
      const error = await answer.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ServerLostError);
      expect((error as Error).message).toContain(`${method} /thing`);
      world.found();
      expect(world.sent).toHaveLength(1);
    },
  );

  it('repeats only a GET when its connection breaks a moment before the server is lost', async () => {
    const world = new World();
    world.answer = () => Promise.reject(broken('ECONNRESET'));
    const answers = Promise.allSettled([world.http.send(get), world.http.send(post)]);
    await vi.waitFor(() => expect(world.sent).toHaveLength(2));
    world.link.markLost(lost);
    world.found();
    expect(await answers).toMatchObject([
      { status: 'fulfilled', value: 'from 2' },
      { status: 'rejected', reason: expect.any(ServerLostError) },
    ]);
  });

  it('repeats any request when nobody listened any more', async () => {
    const world = new World();
    world.answer = () => Promise.reject(broken('ECONNREFUSED'));
    const answer = world.http.send(post, { retry: false });
    await vi.waitFor(() => expect(world.sent).toHaveLength(1));
    world.link.markLost(lost);
    world.found();
    expect(await answer).toBe('from 2');
  });

  it('rejects with ConnectionError when the connection breaks and the server is still there', async () => {
    const world = new World();
    world.answer = () => Promise.reject(broken('ECONNRESET'));
    await expect(world.http.send(post)).rejects.toBeInstanceOf(ConnectionError);
    expect(world.sent).toHaveLength(1);
  });

  it('takes the hold of a request again for the next server', async () => {
    const world = new World();
    world.answer = hangs;
    const holds: string[] = [];
    const acquire = async (): Promise<() => void> => {
      holds.push('taken');
      return () => void holds.push('released');
    };
    const sending = deferred();
    const answer = world.http.send({ ...get, acquire, onSend: sending.resolve });
    await sending.promise;
    world.link.markLost(lost);
    world.found();
    await answer;
    expect(holds).toEqual(['taken', 'released', 'taken', 'released']);
  });
});
