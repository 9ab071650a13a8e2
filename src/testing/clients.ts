/** A server of the kit, as far as clients are concerned. */
interface Closable {
  close(): Promise<void>;
}

/** Adds clients to a server: they are closed with it. */
export interface WithClients<Client, Options> {
  /** Connects a client; it is closed with the server. */
  client(options?: Options): Promise<Client>;
}

/** Lets a server make clients of itself. */
export function withClients<Server extends Closable, Client extends Closable, Options>(
  server: Server,
  connect: (options: Options | undefined) => Promise<Client>,
): Server & WithClients<Client, Options> {
  const clients = new Set<Client>();
  let closing: Promise<void> | undefined;

  async function end(): Promise<void> {
    const ends = [...clients].map((client) => client.close());
    // Up to here nothing has waited: who does not wait for the end has closed it all the same.
    await server.close();
    await Promise.all(ends);
  }
  const close = (): Promise<void> => (closing ??= end());

  return {
    ...server,
    async client(options) {
      const client = await connect(options);
      clients.add(client);
      return client;
    },
    close,
    [Symbol.dispose]: () => void close(),
    [Symbol.asyncDispose]: close,
  };
}
