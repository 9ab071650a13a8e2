import { describe, expectTypeOf, it } from 'vitest';
import * as z from 'zod';
import type {
  AnswerFormat,
  PromptOptions,
  Session,
  StoredMessage,
  Turn,
  TurnResult,
  UnreadableMessage,
} from 'jarvis-opencode';

declare const session: Session;
const schema = z.object({ company: z.string(), since: z.string().transform(Number) });
const parts = [{ type: 'text' as const, text: 'Who?' }];

describe('an answer of a format', () => {
  it('has the type that the zod schema gives', () => {
    type Company = { company: string; since: number };
    expectTypeOf(session.prompt('Who?', { format: { schema } })).resolves.toEqualTypeOf<
      TurnResult<Company>
    >();
    expectTypeOf(session.prompt({ parts, format: { schema, retryCount: 1 } })).resolves.toEqualTypeOf<
      TurnResult<Company>
    >();
    expectTypeOf(session.stream('Who?', { format: { schema } })).toEqualTypeOf<Turn<Company>>();
    expectTypeOf(session.stream({ parts, format: { schema } })).toEqualTypeOf<Turn<Company>>();
    expectTypeOf<TurnResult<Company>['structured']>().toEqualTypeOf<Company>();
    expectTypeOf<Turn<Company>['result']>().toEqualTypeOf<Promise<TurnResult<Company>>>();
  });

  it('is unknown by a JSON schema, and without one', () => {
    const json = { type: 'object', properties: { company: { type: 'string' } } };
    const asked = session.prompt('Who?', { format: { type: 'json_schema', schema: json } });
    expectTypeOf(asked).resolves.toEqualTypeOf<TurnResult>();
    expectTypeOf(session.prompt({ parts, format: { schema: json } })).resolves.toEqualTypeOf<TurnResult>();
    expectTypeOf(session.prompt('Hello')).resolves.toEqualTypeOf<TurnResult>();
    expectTypeOf(session.stream('Hello')).toEqualTypeOf<Turn>();
    expectTypeOf<TurnResult['structured']>().toBeUnknown();
  });

  it('is asked for by a prompt only', () => {
    expectTypeOf<PromptOptions['format']>().toEqualTypeOf<AnswerFormat | undefined>();
    // @ts-expect-error nothing is answered
    void session.addContext({ parts, format: { schema } });
    // @ts-expect-error no such format
    void session.prompt('Who?', { format: { type: 'xml' } });
  });
});

describe('a message of a session', () => {
  it('says by its role when it cannot be read', () => {
    const { info } = {} as StoredMessage;
    if (info.role === 'unreadable') expectTypeOf(info).toEqualTypeOf<UnreadableMessage['info']>();
    else expectTypeOf(info.time.created).toBeNumber();
  });
});
