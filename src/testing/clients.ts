/** What can be closed: a server of the kit, a client. */
interface Closable {
  close(): Promise<void>;
}

/** What {@link withClients} adds to a server. */
export interface WithClients<Client, Options> {
  /**
   * Connects a client, which is closed with the server.
   *
   * @param options - override the server's own connection options.
   */
  client(options?: Options): Promise<Client>;
}

/** Adds `client()` to a server. Closing the server closes its clients too. */
export function withClients<Server extends Closable, Client extends Closable, Options>(
  server: Server,
  connect: (options: Options | undefined) => Promise<Client>,
): Server & WithClients<Client, Options> {
  const clients = new Set<Client>();
  let closing: Promise<void> | undefined;

  async function end(): Promise<void> {
    const ends = [...clients].map((client) => client.close());
    // No await before this line: the server is closed at once, also for a caller that does not await.
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
