import { systemClock, type Clock } from '../../core/clock.js';
import { oneOf, type OptionChecks } from '../../core/checks.js';
import type { Logger } from '../../core/logger.js';
import {
  parsePermissionPolicy,
  parseQuestionPolicy,
  type PermissionPolicy,
  type QuestionPolicy,
} from './policy.js';
import type { AskBrokerInit } from './broker.js';

/** The options of a client that concern what sessions ask. */
export interface AskOptions {
  /**
   * Who answers permission requests, unless a repository, a session or a turn has a policy of its own.
   *
   * @default 'ask'
   */
  readonly permissions?: PermissionPolicy | undefined;
  /**
   * Who answers the questions of the model, likewise.
   *
   * @default 'ask'
   */
  readonly questions?: QuestionPolicy | undefined;
  /**
   * For which sessions the policies of client and repository answer, children included: `all` sessions of the repositories
   * this client uses, or its `own`, which are those it runs a turn of or has bound to a jarvis session.
   *
   * @default 'all' on a server this process started, else 'own'
   */
  readonly policyScope?: 'own' | 'all' | undefined;
}

/** The check of each of these options. */
export const askOptionChecks: OptionChecks<AskOptions> = {
  permissions: parsePermissionPolicy,
  questions: parseQuestionPolicy,
  policyScope: oneOf('own', 'all'),
};

/** What the asks of every repository of a client share. */
export type AskSettings = Pick<AskBrokerInit, 'policies' | 'answersFor' | 'clock' | 'logger'>;

/** Fills in the defaults of options that were checked. */
export function parseAskSettings(
  options: AskOptions & { readonly clock?: Clock | undefined },
  init: {
    readonly ownsServer: boolean;
    /** Whether a session, or a parent of it, is bound to a jarvis session. */
    readonly isBound: (sessionID: string) => boolean;
    readonly logger: Logger;
  },
): AskSettings {
  const { permissions, questions, policyScope = init.ownsServer ? 'all' : 'own' } = options;
  return {
    policies: {
      permission: parsePermissionPolicy('permissions', permissions),
      question: parseQuestionPolicy('questions', questions),
    },
    answersFor: policyScope === 'all' ? () => true : init.isBound,
    clock: options.clock ?? systemClock,
    logger: init.logger,
  };
}
