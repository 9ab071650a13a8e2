import { connect } from 'node:net';
import { realTime } from '../../../core/real-time.js';

/** The variables that name a proxy for requests to an `http:` URL. */
const PROXY_VARIABLES = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'];
/** The variables that name what is requested without a proxy; which one counts differs between programs. */
const EXEMPTION_VARIABLES = ['NO_PROXY', 'no_proxy'];
/** How a loopback address is written in them: some programs want the brackets of `[::1]`, others do not. */
const LOOPBACK_ENTRIES = ['127.0.0.1', 'localhost', '::1', '[::1]'];

/** How much of an answer is read, and how long. */
const MAX_ANSWER_CHARS = 65_536;
const ANSWER_LIMIT_MS = 1_000;

/** Whether a hostname of an option or URL is this machine's own loopback address. */
export function isLoopback(hostname: string): boolean {
  return ['localhost', '::1', '[::1]'].includes(hostname) || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** The variable that sends requests for an `http:` URL to a proxy; `undefined` when none does. */
export function proxyVariable(env: NodeJS.ProcessEnv): string | undefined {
  return PROXY_VARIABLES.find((name) => env[name]);
}

/**
 * The variables to set in an environment with a proxy, so that requests to this machine do not go there; empty when it has no proxy, or
 * exempts them already. Entries that are there stay: one with a port or a range exempts too little, or is not understood by every
 * program.
 *
 * @param hostname - where the server listens; exempted besides the loopback addresses.
 */
export function loopbackExemption(
  env: NodeJS.ProcessEnv,
  hostname: string,
): Readonly<Record<string, string>> {
  if (proxyVariable(env) === undefined) return {};
  const given = EXEMPTION_VARIABLES.filter((name) => env[name] !== undefined);
  const wanted = new Set([...LOOPBACK_ENTRIES, hostname]);
  return Object.fromEntries(
    (given.length > 0 ? given : EXEMPTION_VARIABLES.slice(0, 1)).flatMap((name) => {
      const value = (env[name] ?? '').trim();
      // It exempts everything, but only alone.
      if (value === '*') return [];
      const entries = value.split(/[\s,]+/).filter((entry) => entry !== '');
      const missing = [...wanted].filter((entry) => !entries.includes(entry));
      return missing.length === 0 ? [] : [[name, [...entries, ...missing].join(',')]];
    }),
  );
}

/**
 * Exempts requests of this process to its own machine from its proxy. Node 24.21, Bun 1.4 and Deno 2.9 send them there otherwise, also those
 * with a server's password. They read the variables again for each request, Deno for its first one only.
 *
 * @returns the variables that it has set.
 */
export function exemptLoopback(hostname: string): Readonly<Record<string, string>> {
  const exemption = loopbackExemption(process.env, hostname);
  Object.assign(process.env, exemption);
  return exemption;
}

/** Where a server says that it is healthy, and by what, by its major version. */
const HEALTH = {
  1: { request: 'GET /global/health', sign: /"healthy":\s*true/ },
  2: { request: 'GET /api/info', sign: /"version":/ },
};

/** Whether a server answers that it is healthy when it is asked over a connection that no proxy can take. Never rejects. */
export function answersDirectly(
  url: string,
  authorization: string,
  signal: AbortSignal,
  opencode: 1 | 2 = 1,
): Promise<boolean> {
  const { protocol, hostname, port, host } = new URL(url);
  const health = HEALTH[opencode];
  if (protocol !== 'http:' || signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
    const end = (): void => {
      realTime.clearTimeout(timer);
      signal.removeEventListener('abort', end);
      socket.destroy();
      resolve(/^HTTP\/1\.1 200 /.test(answer) && health.sign.test(answer));
    };
    const timer = realTime.setTimeout(end, ANSWER_LIMIT_MS);
    signal.addEventListener('abort', end);
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => {
      answer += piece;
      if (answer.length > MAX_ANSWER_CHARS) end();
    });
    socket.on('error', end);
    socket.on('close', end);
    socket.write(
      `${health.request} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: ${authorization}\r\nConnection: close\r\n\r\n`,
    );
  });
}
