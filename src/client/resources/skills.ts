import type { RequestOptions } from '../http/request-options.js';
import { skillListSchema, type Skill } from '../schema/skills.js';
import { RepoResource } from './repo-resource.js';

/** The skills of one repository. */
export class SkillsResource extends RepoResource {
  /**
   * Lists the skills, those that come with OpenCode included.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<Skill[]> {
    return this.transport.send({ method: 'GET', path: '/skill', schema: skillListSchema }, options);
  }
}
