import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SessionDirectoryError, TimeoutError, type RepoClient } from 'jarvis-opencode';
import { Http } from '../../src/client/http/http.js';
import { RepoTransport } from '../../src/client/http/repo-transport.js';
import { TuiResource } from '../../src/client/resources/tui.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { until } from '../support/wait.js';

// Every operation must reach this directory, whose name the server itself would decode once too often.
const NAME = `a b%20ü日#?+'`;

let world: RealJarvis;
let repo: RepoClient;
let tui: TuiResource;
/** What a TUI in the repository would have been told. */
const told: { type: string; properties: unknown }[] = [];

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  repo = world.jarvis.forRepo((await world.repo({ name: NAME })).directory);
  const { server } = world.jarvis;
  const endpoint = () => ({ url: server.url, authorization: server.authorization });
  const http = new Http({ endpoint, signal: new AbortController().signal });
  const enter = () => Promise.resolve(() => undefined);
  tui = new TuiResource(new RepoTransport(http, repo.directory, enter), {
    directoryOf: () => undefined,
    learn: () => undefined,
  });
  const events = repo.events();
  await events.ready;
  void (async () => {
    for await (const { type, properties } of events) {
      if (type.startsWith('tui.')) told.push({ type, properties });
    }
  })();
});
afterAll(() => world[Symbol.asyncDispose]());

/** What the TUI is told by a call. */
async function toldBy(call: Promise<void>): Promise<unknown> {
  await call;
  const event = await until(() => told.shift(), { what: 'an event for the TUI' });
  return [event.type, event.properties];
}

const command = (name: string): unknown => ['tui.command.execute', { command: name }];

describe('the TUI', () => {
  it('sends commands to the TUI', async () => {
    expect(await toldBy(tui.appendPrompt({ text: 'hällo' }))).toEqual([
      'tui.prompt.append',
      { text: 'hällo' },
    ]);
    expect(await toldBy(tui.submitPrompt())).toEqual(command('prompt.submit'));
    expect(await toldBy(tui.clearPrompt())).toEqual(command('prompt.clear'));
    expect(await toldBy(tui.openHelp())).toEqual(command('help.show'));
    expect(await toldBy(tui.openSessions())).toEqual(command('session.list'));
    expect(await toldBy(tui.openThemes())).toEqual(command('session.list'));
    expect(await toldBy(tui.openModels())).toEqual(command('model.list'));
    expect(await toldBy(tui.executeCommand({ command: 'session_new' }))).toEqual(command('session.new'));
    const toast = { title: 'Done', message: 'Built', variant: 'success', duration: 100 } as const;
    expect(await toldBy(tui.showToast(toast))).toEqual(['tui.toast.show', toast]);
    const execute = { type: 'tui.command.execute', properties: { command: 'session.share' } } as const;
    expect(await toldBy(tui.publish(execute))).toEqual(command('session.share'));
  });

  it('shows the TUI a session of this repository only', async () => {
    const { id: sessionID } = await repo.sessions.create();
    const select = ['tui.session.select', { sessionID }];
    expect(await toldBy(tui.selectSession({ sessionID }))).toEqual(select);
    const event = { type: 'tui.session.select', properties: { sessionID } } as const;
    expect(await toldBy(tui.publish(event))).toEqual(select);
    const unknown = { sessionID: 'ses_unknown' };
    await expect(tui.selectSession(unknown)).rejects.toMatchObject({ status: 404 });
    await expect(tui.publish({ ...event, properties: unknown })).rejects.toMatchObject({ status: 404 });
    const other = world.jarvis.forRepo((await world.repo()).directory);
    const properties = { sessionID: (await other.sessions.create()).id };
    await expect(tui.selectSession(properties)).rejects.toThrow(SessionDirectoryError);
    await expect(tui.publish({ ...event, properties })).rejects.toThrow(SessionDirectoryError);
    expect(told).toEqual([]);
  });

  it('waits for requests of the TUI, and answers them', async () => {
    await expect(tui.controlNext({ timeoutMs: 200 })).rejects.toThrow(TimeoutError);
    await tui.controlResponse({ done: true });
    await tui.controlResponse(undefined);
  });

  it('refuses input that the TUI would not understand', async () => {
    await expect(tui.showToast({ message: 'x', variant: 'loud' } as never)).rejects.toThrow(TypeError);
    await expect(tui.publish({ type: 'tui.nothing', properties: {} } as never)).rejects.toThrow(TypeError);
    await expect(tui.selectSession({ sessionID: 'msg_1' })).rejects.toThrow(TypeError);
  });
});
