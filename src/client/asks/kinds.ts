import type { AskApi } from './api.js';
import {
  parsePermissionDecision,
  parseQuestionDecision,
  type AskPolicies,
  type ParsedPolicy,
  type PermissionDecision,
  type QuestionDecision,
} from './policy.js';
import {
  decisionAnswers,
  PermissionAsk,
  permissionReplyOf,
  QuestionAsk,
  type AskKind,
  type AskOutcome,
  type Reply,
} from './reply.js';
import type { RequestOptions } from '../http/request-options.js';
import type { PermissionRequest, QuestionRequest } from '../schema/ask.js';

/** What each kind of ask consists of. */
export interface AskTypes {
  readonly permission: {
    readonly request: PermissionRequest;
    readonly decision: PermissionDecision;
    readonly ask: PermissionAsk;
  };
  readonly question: {
    readonly request: QuestionRequest;
    readonly decision: QuestionDecision;
    readonly ask: QuestionAsk;
  };
}

export type RequestOf<K extends AskKind> = AskTypes[K]['request'];
export type DecisionOf<K extends AskKind> = AskTypes[K]['decision'];
export type AskOf<K extends AskKind> = AskTypes[K]['ask'];

/** An ask of a kind, as its policy needs it. */
export interface AnswerableAsk<K extends AskKind> {
  readonly request: RequestOf<K>;
  readonly directory: string;
  reply(decision: DecisionOf<K>, options?: RequestOptions): Promise<AskOutcome>;
}

/** What differs between one kind of ask and the other. */
interface KindRules<K extends AskKind> {
  /** The policy of one level. */
  policyOf(level: AskPolicies): ParsedPolicy<RequestOf<K>, DecisionOf<K>> | undefined;
  create(request: RequestOf<K>, directory: string, reply: Reply<DecisionOf<K>>): AskOf<K>;
  /** @throws {TypeError} if the value is no decision on the request. */
  parse(name: string, value: unknown, request: RequestOf<K>): DecisionOf<K>;
  send(
    api: AskApi,
    request: RequestOf<K>,
    decision: DecisionOf<K>,
    options: RequestOptions | undefined,
  ): Promise<void>;
}

/** The rules of each kind of ask. */
export const ASK_KINDS: { readonly [K in AskKind]: KindRules<K> } = {
  permission: {
    policyOf: ({ permission }) => permission,
    create: (request, directory, reply) => new PermissionAsk(request, directory, reply),
    parse: parsePermissionDecision,
    send: (api, { id }, decision, options) => api.replyPermission(id, permissionReplyOf(decision), options),
  },
  question: {
    policyOf: ({ question }) => question,
    create: (request, directory, reply) => new QuestionAsk(request, directory, reply),
    parse: (name, value, { questions }) => parseQuestionDecision(name, value, questions.length),
    send: (api, request, decision, options) => {
      const answers = decisionAnswers(request, decision);
      if (answers === undefined) return api.rejectQuestion(request.id, options);
      return api.replyQuestion(request.id, { answers }, options);
    },
  },
};

export const ALL_KINDS: readonly AskKind[] = ['permission', 'question'];

/** Whether an ask is of a kind. */
export function isOfKind<K extends AskKind>(kind: K): (ask: PermissionAsk | QuestionAsk) => ask is AskOf<K> {
  return (ask): ask is AskOf<K> => ask.type === kind;
}
