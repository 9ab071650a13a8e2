import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const owner = await portOwner(0);
  await owner.release();
  return owner.port;
}

/** Somebody else's server. */
export interface PortOwner extends AsyncDisposable {
  readonly port: number;
  /** What it was asked: method and path. */
  readonly requests: readonly string[];
  /** Frees the port; idempotent. */
  release(): Promise<void>;
}

/**
 * Listens on a port of 127.0.0.1 and answers every request with `mine`.
 *
 * @throws {Error} when the port is taken.
 */
export async function portOwner(port: number): Promise<PortOwner> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    response.end('mine');
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  let released: Promise<unknown> | undefined;
  const release = async (): Promise<void> => {
    if (released === undefined) {
      released = once(server, 'close');
      server.closeAllConnections();
      server.close();
    }
    await released;
  };
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    release,
    [Symbol.asyncDispose]: release,
  };
}
