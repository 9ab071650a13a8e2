import type { Credentials } from './credentials.js';
import { directoryOfRequest } from './directory.js';
import { nextMacrotask } from '../next-macrotask.js';
import type { ConnectSocket } from '../state/pty-socket.js';
import { matchPath, type MockRequest } from './route.js';
import type { ScriptedServer } from '../scripted-server.js';

/** What a connection to a terminal needs of the mock. */
export interface PtyConnectInit {
  readonly server: ScriptedServer;
  readonly credentials: Credentials;
  /** Whether the server is up. */
  readonly isUp: () => boolean;
  /** Called with every request for a connection. */
  readonly record: (request: MockRequest) => void;
}

/** Connects sockets to the terminals of a server: `GET /pty/{ptyID}/connect`, with a ticket or the password. */
export function connectPtys({ server, credentials, isUp, record }: PtyConnectInit): ConnectSocket {
  return async (url, reader) => {
    await nextMacrotask();
    if (!isUp()) return undefined;
    const { pathname: path, searchParams: query } = url;
    const directory = directoryOfRequest({
      rawPath: path,
      query,
      headers: new Headers(),
      cwd: server.cwd,
      directoryOf: () => undefined,
    });
    record({ method: 'GET', path, query: Object.fromEntries(query), directory, body: undefined });
    const { ptyID = '' } = matchPath('/pty/:ptyID/connect', path) ?? {};
    const { ptys } = server.instances.use(directory);
    const ticket = query.get('ticket');
    if (ticket === null && !credentials.accepts(new Request(url))) return 401;
    if (ticket !== null && !ptys.takeTicket(ptyID, ticket)) return 403;
    const terminal = ptys.terminal(ptyID);
    if (terminal === undefined) return 404;
    const leave = terminal.connect(reader, Number(query.get('cursor') ?? 0));
    return { leave, input: (text) => terminal.input(text) };
  };
}
