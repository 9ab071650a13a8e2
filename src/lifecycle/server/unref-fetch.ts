import { request } from 'node:http';
import { Readable } from 'node:stream';

/** Statuses whose answers have no body. */
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * `fetch` of a GET request whose connection does not keep this process alive: the runtime's own `fetch` has no means for that.
 * For the event stream, which is open as long as the client.
 *
 * @throws what `node:http` fails with, before there is an answer.
 */
export function unrefFetch(url: string, { headers, signal }: RequestInit): Promise<Response> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      headers: Object.fromEntries(new Headers(headers)),
      agent: false,
      ...(signal && { signal }),
    });
    sent.on('socket', (socket) => socket.unref());
    sent.on('error', reject);
    sent.on('response', (answer) => {
      const { statusCode: status = 0 } = answer;
      const body = WITHOUT_BODY.has(status) ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>);
      const type = answer.headers['content-type'];
      resolve(new Response(body, { status, headers: type === undefined ? {} : { 'content-type': type } }));
    });
    sent.end();
  });
}
