import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import type { CreateSessionInput, PromptInput } from 'jarvis-opencode';
import type { DemoOptions } from './options.js';
import type { Role, Stage } from './stage.js';

const AGAIN = 'Say in one sentence what you were asked before. Do not use any tool.';

/** The last rule that matches decides: nothing but reading, and nothing that would ask. */
const READ_ONLY: CreateSessionInput['permission'] = [
  { permission: '*', pattern: '*', action: 'deny' },
  { permission: 'read', pattern: '*', action: 'allow' },
  { permission: 'read', pattern: '*.env', action: 'deny' },
  { permission: 'read', pattern: '*.env.*', action: 'deny' },
  { permission: 'glob', pattern: '*', action: 'allow' },
  { permission: 'list', pattern: '*', action: 'allow' },
];

/** The user's repositories, configuration and environment. */
export function ownStage({ directories, model, prompt }: DemoOptions & { kind: 'own' }): Stage {
  const [first, second] = directories;
  const marker = randomUUID();
  const ask = (text: string): PromptInput => ({
    parts: [{ type: 'text', text }],
    ...(model && { model }),
  });
  const role = (name: string, directory: string): Role => ({
    name,
    directory,
    prompt: ask(prompt),
    expected: undefined,
  });
  const [firstName, secondName] = namesOf(first, second);
  return {
    title: `your repositories and configuration${model ? `, ${model.providerID}/${model.modelID}` : ''}`,
    startOptions: { env: { JARVIS_DEMO_MARKER: marker } },
    idleTimeoutMs: 3_000,
    limitMs: 600_000,
    marker,
    session: { title: 'jarvis-opencode demo', permission: READ_ONLY },
    first: role(firstName, first),
    again: { prompt: ask(AGAIN), expected: undefined },
    second: role(secondName, second),
    isSecondPaced: false,
    finish: () => undefined,
    deletesSessions: true,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function namesOf(first: string, second: string): [string, string] {
  const names: [string, string] = [basename(first), basename(second)];
  if (names[0] !== names[1]) return names;
  return [`${names[0]} 1`, `${names[1]} 2`];
}
