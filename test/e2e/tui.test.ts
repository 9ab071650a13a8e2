import { afterAll, beforeAll, it } from 'vitest';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';

let world: RealJarvis;
beforeAll(async () => {
  world = await realJarvis({ idle: false });
});
afterAll(() => world[Symbol.asyncDispose]());
async function call(directory: string, method: string, path: string, body?: unknown, signal?: AbortSignal) {
  const { server } = world.jarvis;
  const response = await fetch(server.url + path, {
    method,
    headers: { authorization: server.authorization ?? '', 'x-opencode-directory': encodeURIComponent(directory), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  return `${response.status} ${(await response.text()).slice(0, 400)}`;
}
it('probe', async () => {
  const log = (...args: unknown[]) => console.log(...args);
  const { directory: d } = await world.repo({ name: 'a%20b' });
  const { directory: o } = await world.repo({ name: 'other' });
  const events = world.jarvis.events();
  await events.ready;
  void (async () => { for await (const e of events) if (/tui|mcp/.test(e.type)) log('EVENT', e.directory, e.type, JSON.stringify(e.properties)); })();
  const other = await world.jarvis.forRepo(o).sessions.create();
  log('append', await call(d, 'POST', '/tui/append-prompt', { text: 'x' }));
  for (const p of ['open-help','open-sessions','open-themes','open-models','submit-prompt','clear-prompt']) log(p, await call(d, 'POST', `/tui/${p}`));
  log('exec', await call(d, 'POST', '/tui/execute-command', { command: 'session_new' }), await call(d, 'POST', '/tui/execute-command', { command: 'session.new' }), await call(d, 'POST', '/tui/execute-command', { command: 'nope' }));
  log('toast', await call(d, 'POST', '/tui/show-toast', { message: 'm', variant: 'info' }));
  log('publish', await call(d, 'POST', '/tui/publish', { type: 'tui.toast.show', properties: { message: 'm', variant: 'info' } }));
  log('publish select other', await call(d, 'POST', '/tui/publish', { type: 'tui.session.select', properties: { sessionID: other.id } }));
  log('select other', await call(d, 'POST', '/tui/select-session', { sessionID: other.id }));
  log('select unknown', await call(d, 'POST', '/tui/select-session', { sessionID: 'ses_nope' }));
  log('next', await call(d, 'GET', '/tui/control/next', undefined, AbortSignal.timeout(1500)).catch(String));
  log('response', await call(d, 'POST', '/tui/control/response', { a: 1 }), await call(d, 'POST', '/tui/control/response'), await call(d, 'POST', '/tui/control/response', null));
  // MCP
  const fixture = new URL('../fixtures/mcp-server.mjs', import.meta.url).pathname;
  log('mcp', await call(d, 'GET', '/mcp'));
  log('add', await call(d, 'POST', '/mcp', { name: 'a/b %', config: { type: 'local', command: [process.execPath, fixture] } }));
  log('add bad', await call(d, 'POST', '/mcp', { name: 'bad', config: { type: 'local', command: ['/nowhere'] } }));
  log('add disabled', await call(d, 'POST', '/mcp', { name: 'off', config: { type: 'local', command: [process.execPath, fixture], enabled: false } }));
  log('add remote', await call(d, 'POST', '/mcp', { name: 'remote', config: { type: 'remote', url: 'http://127.0.0.1:9/', oauth: false } }));
  log('status', await call(d, 'GET', '/mcp'), await call(o, 'GET', '/mcp'));
  const n = '/mcp/' + encodeURIComponent('a/b %');
  for (const p of ['disconnect', 'connect']) log(p, await call(d, 'POST', `${n}/${p}`), await call(d, 'GET', '/mcp'));
  log('connect bad', await call(d, 'POST', '/mcp/bad/connect'), await call(d, 'POST', '/mcp/none/connect'), await call(d, 'POST', '/mcp/off/connect'));
  for (const name of [n, '/mcp/remote', '/mcp/none']) {
    log(name, 'auth', await call(d, 'POST', `${name}/auth`));
    log(name, 'callback', await call(d, 'POST', `${name}/auth/callback`, { code: 'x' }));
    log(name, 'authenticate', await call(d, 'POST', `${name}/auth/authenticate`, undefined, AbortSignal.timeout(4000)).catch(String));
    log(name, 'remove', await call(d, 'DELETE', `${name}/auth`));
  }
  log('status', await call(d, 'GET', '/mcp'));
});
