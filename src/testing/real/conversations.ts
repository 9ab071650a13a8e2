import type { PermissionRule } from '../../client/schema/session.js';
import { decide, needOf } from '../state/permission-rules.js';
import { iteratorOf, type MockScript, type MockScriptInput } from '../script/script.js';
import { BEGINS_CALL, EMPTY_TOO_LATE, RETRY_TOO_LATE, type MockStep } from '../script/steps.js';
import type { ModelStep } from './model-steps.js';
import { resultsOf, type ModelTurn } from './model-turn.js';
import type { ModelScript } from './scripted-model.js';

/** The input of a script without the prompt, and the rules for its tools. */
export interface SessionFacts extends Omit<MockScriptInput, 'prompt'> {
  /** The rules of the server, then those of the session; `undefined` when they are unknown. */
  readonly rules: readonly PermissionRule[] | undefined;
}

type StepIterator = Iterator<MockStep, unknown> | AsyncIterator<MockStep, unknown>;

/** A script while it plays through the calls of one turn. */
interface Conversation {
  /** The steps of the script and of its nested `afterTools()`, the innermost last. */
  readonly steps: StepIterator[];
  readonly rules: readonly PermissionRule[] | undefined;
  /** A step that was read ahead: it belongs to the next call. */
  ahead: MockStep | undefined;
  /** The number of messages of a call that the provider refused: a call with the same number repeats it. */
  repeatedAt: number | undefined;
}

/**
 * Makes a script for the calls of a model from a script for turns: steps after a tool belong to the next call, as in the mock.
 *
 * @param factsOf - reads a session from the server.
 */
export function conversations(
  script: MockScript,
  factsOf: (sessionID: string) => Promise<SessionFacts>,
): ModelScript {
  const running = new Map<string, Conversation>();

  async function begin(turn: ModelTurn, sessionID: string): Promise<Conversation> {
    for (const steps of running.get(sessionID)?.steps ?? []) void steps.return?.();
    const { session, directory, rules } = await factsOf(sessionID);
    const steps = [iteratorOf(script({ prompt: turn.prompt, session, directory }))];
    return { steps, rules, ahead: undefined, repeatedAt: undefined };
  }

  return async function* (turn): AsyncGenerator<ModelStep> {
    const { sessionID } = turn;
    if (sessionID === undefined) throw new Error('OpenCode did not say which session asks.');
    const last = running.get(sessionID);
    const known = turn.step > 0 || last?.repeatedAt === turn.messages.length ? last : undefined;
    const conversation = known ?? (await begin(turn, sessionID));
    running.set(sessionID, conversation);
    conversation.repeatedAt = undefined;
    let hasTools = false;
    let hasBegun = false;
    for (;;) {
      const step = conversation.ahead ?? (await nextOf(conversation.steps));
      conversation.ahead = undefined;
      if (step === undefined) return;
      if (hasTools && BEGINS_CALL.has(step.type)) {
        conversation.ahead = step;
        return;
      }
      if (step.type === 'after-tools') {
        conversation.steps.push(iteratorOf(step.next(turn.step > 0 ? resultsOf(turn) : [])));
        continue;
      }
      if (step.type === 'retry' || step.type === 'empty') {
        if (hasBegun) throw new TypeError(step.type === 'retry' ? RETRY_TOO_LATE : EMPTY_TOO_LATE);
        conversation.repeatedAt = turn.messages.length;
        yield step;
        return;
      }
      hasBegun ||= step.type === 'text' || step.type === 'reasoning';
      hasTools ||= step.type === 'tool' || step.type === 'question' || step.type === 'subtask';
      assertAsks(step, conversation.rules);
      yield step;
    }
  };
}

/** @throws {Error} when a step is to ask and no rule makes the server ask: the test would wait for a request that never comes. */
function assertAsks(step: MockStep, rules: readonly PermissionRule[] | undefined): void {
  if (step.type !== 'tool' || step.ask === undefined || rules === undefined) return;
  const need = needOf(step.tool, step.input, step.ask);
  if (decide(rules, need) !== 'allow') return;
  const { permission } = need;
  throw new Error(
    `the script asks for ${permission}, and no rule lets the server ask: pass asks: ['${permission}'] to ` +
      'realOpenCode(), or a permission to sessions.create()',
  );
}

async function nextOf(steps: StepIterator[]): Promise<MockStep | undefined> {
  for (let innermost = steps.at(-1); innermost !== undefined; innermost = steps.at(-1)) {
    const next = await innermost.next();
    if (next.done !== true) return next.value;
    steps.pop();
  }
  return undefined;
}
