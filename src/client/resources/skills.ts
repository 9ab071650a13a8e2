import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { skillListSchema, type Skill } from '../schema/skills.js';

/** The skills of one repository. */
export class SkillsResource {
  readonly #transport: RepoTransport;

  /** @internal */
  constructor(transport: RepoTransport) {
    this.#transport = transport;
  }

  /**
   * Lists the skills, those that come with OpenCode included.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<Skill[]> {
    return this.#transport.send({ method: 'GET', path: '/skill', schema: skillListSchema }, options);
  }
}
