import { describe, expectTypeOf, it } from 'vitest';
import {
  JarvisFleet,
  type EventStream,
  type FleetEvent,
  type FleetOptions,
  type FleetSnapshot,
  type JarvisLike,
  type JarvisOpenCode,
  type JarvisSnapshot,
  type PlaceResult,
  type RepoClient,
  type ServerHandle,
  type ServerOverview,
  type ServerProfile,
} from 'jarvis-opencode';
import { mockFleet, mockOpenCode } from 'jarvis-opencode/testing';
import type { JarvisFleet as BrowserFleet } from '../../src/browser.js';

declare const handle: ServerHandle;
const open = (): Promise<ServerHandle> => Promise.resolve(handle);

const fleet = await JarvisFleet.start({
  servers: {
    main: { dataDir: '/var/lib/main' },
    remote: { url: 'http://127.0.0.1:4096', paths: 'remote' },
    far: { open, stopAfterIdleMs: false },
  },
  route: (directory) => (directory === '/srv/app' ? 'remote' : undefined),
});

describe('JarvisFleet', () => {
  it('knows the names of its servers', () => {
    expectTypeOf(fleet).toEqualTypeOf<JarvisFleet<'main' | 'remote' | 'far'>>();
    expectTypeOf(fleet.forRepo('/srv/app', { server: 'far' })).toEqualTypeOf<RepoClient>();
    expectTypeOf(fleet.server('main')).toEqualTypeOf<JarvisOpenCode>();
    expectTypeOf(fleet.server('main', '/srv/app')).toEqualTypeOf<JarvisOpenCode>();
    expectTypeOf(fleet.servers()).toEqualTypeOf<ServerOverview<'main' | 'remote' | 'far'>[]>();
    expectTypeOf(fleet.repos()[0]?.server).toEqualTypeOf<'main' | 'remote' | 'far' | undefined>();
    expectTypeOf(fleet.sessions.get('chat')?.server).toEqualTypeOf<'main' | 'remote' | 'far' | undefined>();
    // @ts-expect-error there is no such server
    fleet.server('elsewhere');
    // @ts-expect-error there is no such server
    fleet.forRepo('/srv/app', { server: 'elsewhere' });
    // @ts-expect-error there is no such server
    fleet.sessions.directoryOf('ses_1', 'elsewhere');
    expectTypeOf(fleet.place('/srv/app', 'far')).resolves.toEqualTypeOf<
      PlaceResult<'main' | 'remote' | 'far'>
    >();
    // @ts-expect-error there is no such server
    void fleet.place('/srv/app', 'elsewhere');
    // @ts-expect-error the route gives no such server
    void JarvisFleet.start({ servers: { main: {} }, route: () => 'elsewhere' });
    // @ts-expect-error the route answers at once
    void JarvisFleet.start({ servers: { main: {} }, route: () => Promise.resolve('main' as const) });
  });

  it('takes the options of a client for all, and those of each kind of server', () => {
    expectTypeOf<FleetOptions<Record<'main', ServerProfile>>['restore']>().toEqualTypeOf<
      FleetSnapshot | JarvisSnapshot | undefined
    >();
    void JarvisFleet.start({ servers: { main: {} }, idle: false, permissions: 'deny' });
    void JarvisFleet.start({
      servers: {
        main: {},
        each: { perRepo: true },
        there: { perRepo: true, open: (_signal, repository) => open().finally(() => repository) },
      },
      maxServers: 3,
      maxServersWaitMs: false,
    });
    // @ts-expect-error a fleet has servers
    void JarvisFleet.start({});
    // @ts-expect-error no server is of that kind
    void JarvisFleet.start({ servers: { main: 'http://127.0.0.1:4096' } });
  });

  it('gives events with the server of each', () => {
    for (const event of [] as FleetEvent<'session.idle', 'main'>[]) {
      if (event.type === 'session.idle') {
        expectTypeOf(event.server).toEqualTypeOf<'main'>();
        expectTypeOf(event.properties.sessionID).toBeString();
      }
      if (event.type === 'jarvis.gap') expectTypeOf(event.server).toEqualTypeOf<'main' | undefined>();
    }
    expectTypeOf(fleet.events({ types: ['session.idle'] }).ready).resolves.toBeVoid();
  });

  it('is used like a client of one server', () => {
    expectTypeOf(fleet).toExtend<JarvisLike>();
    expectTypeOf<JarvisOpenCode>().toExtend<JarvisLike>();
    expectTypeOf<BrowserFleet>().toExtend<JarvisLike>();
    expectTypeOf<EventStream>().toExtend<ReturnType<JarvisLike['events']>>();
  });
});

describe('a fleet of mocks', () => {
  it('has the names of its mocks', async () => {
    const mocks = mockFleet({ main: mockOpenCode(), heavy: mockOpenCode() });
    mocks.mocks.heavy.reply('yes');
    mocks.crash('heavy');
    // @ts-expect-error there is no such mock
    mocks.crash('elsewhere');
    const each = mockFleet({ main: mockOpenCode(), each: [mockOpenCode(), mockOpenCode()] });
    each.mocks.each[1].reply('yes');
    each.crash('each', 1);
    expectTypeOf(await mocks.client({ route: () => 'heavy' })).toEqualTypeOf<JarvisFleet<'main' | 'heavy'>>();
    // @ts-expect-error there is no such server
    void mocks.client({ route: () => 'elsewhere' });
  });
});
