import { iteratorOf, type MockScript, type MockScriptInput } from '../script.js';
import type { MockStep } from '../steps.js';
import type { ModelStep } from './model-steps.js';
import type { ModelTurn } from './model-turn.js';
import type { ModelScript } from './scripted-model.js';

/** What a script is told of a session, beside the prompt. */
export type SessionFacts = Omit<MockScriptInput, 'prompt'>;

type StepIterator = Iterator<MockStep, unknown> | AsyncIterator<MockStep, unknown>;

/** A script on its way through the calls of one turn. */
interface Conversation {
  readonly steps: StepIterator;
  /** Taken from the script too early: it belongs to the next call. */
  ahead: MockStep | undefined;
}

/**
 * Plays a script for turns to a model that is asked once for each of its calls: what follows a tool is said in the next
 * call, as in the mock.
 *
 * @param factsOf - reads a session from the server.
 */
export function conversations(
  script: MockScript,
  factsOf: (sessionID: string) => Promise<SessionFacts>,
): ModelScript {
  const running = new Map<string, Conversation>();

  async function begin(turn: ModelTurn, sessionID: string): Promise<Conversation> {
    void running.get(sessionID)?.steps.return?.();
    const facts = await factsOf(sessionID);
    return { steps: iteratorOf(script({ prompt: turn.prompt, ...facts })), ahead: undefined };
  }

  return async function* (turn): AsyncGenerator<ModelStep> {
    const { sessionID } = turn;
    if (sessionID === undefined) throw new Error('OpenCode did not say which session asks.');
    const known = turn.step === 0 ? undefined : running.get(sessionID);
    const conversation = known ?? (await begin(turn, sessionID));
    running.set(sessionID, conversation);
    let hasTools = false;
    for (;;) {
      const step = conversation.ahead ?? (await nextOf(conversation.steps));
      conversation.ahead = undefined;
      if (step === undefined) return;
      if (hasTools && (step.type === 'text' || step.type === 'reasoning')) {
        conversation.ahead = step;
        return;
      }
      hasTools ||= step.type === 'tool' || step.type === 'question' || step.type === 'subtask';
      yield step;
    }
  };
}

async function nextOf(steps: StepIterator): Promise<MockStep | undefined> {
  const next = await steps.next();
  return next.done === true ? undefined : next.value;
}
