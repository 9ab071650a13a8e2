import type { RepoTransport } from '../http/repo-transport.js';

/** What the resources of one repository have in common. */
export abstract class RepoResource {
  readonly #transport: RepoTransport;

  /** @internal */
  constructor(transport: RepoTransport) {
    this.#transport = transport;
  }

  /** @internal Sends the requests of the repository. */
  protected get transport(): RepoTransport {
    return this.#transport;
  }
}
