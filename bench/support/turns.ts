import { reasoning, text, tool, type MockScript, type MockStep } from 'jarvis-opencode/testing';
import { recordTurn, type RecordedTurn, type RepositoryFile } from './record-turn.js';

/** So fast comes a word of a model. */
const WORD_MS = 10;
const WORDS =
  'the function returns a value which is checked against its expected result before the test fails';

const SOURCE_FILE: RepositoryFile = {
  path: 'src/parse.ts',
  content: Array.from(
    { length: 200 },
    (_, line) => `export const line${line} = ${line}; // as it is parsed\n`,
  ).join(''),
};

/** Thinks, reads, searches, edits, runs the tests and tells what it did. */
const codingTurn: MockScript = () => [
  reasoning(words(60), { delayMs: WORD_MS }),
  say(30),
  tool('read', { filePath: SOURCE_FILE.path }),
  say(20),
  tool('grep', { pattern: 'parse', path: '.' }),
  say(20),
  tool('edit', { filePath: SOURCE_FILE.path, oldString: 'line17 = 17', newString: 'line17 = 18' }),
  say(15),
  tool('bash', {
    command:
      'for test in $(seq 1 60); do echo "ok $test - line $test is parsed as expected"; sleep 0.02; done',
    description: 'Runs the tests',
  }),
  say(120),
];

const answerTurn: MockScript = () => [say(40)];

/** The turns whose events the benchmark reads. */
export async function recordTurns(): Promise<readonly { title: string; turn: RecordedTurn }[]> {
  return [
    { title: 'A turn of a coding agent', turn: await recordTurn(codingTurn, SOURCE_FILE) },
    { title: 'A turn that is nothing but an answer', turn: await recordTurn(answerTurn, SOURCE_FILE) },
  ];
}

function words(count: number): string {
  const some = WORDS.split(' ');
  return Array.from({ length: count }, (_, index) => some[(index * 7) % some.length]).join(' ');
}

function say(count: number): MockStep {
  return text(words(count), { delayMs: WORD_MS });
}
