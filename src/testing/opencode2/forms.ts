import type { QuestionRequest } from '../../client/schema/ask.js';

/** A field of a form. */
interface FormField {
  readonly key: string;
  readonly title: string;
  readonly description: string;
  readonly type: 'string' | 'multiselect';
  readonly options: readonly {
    readonly value: string;
    readonly label: string;
    readonly description: string;
  }[];
  readonly custom: boolean;
}

/** The questions of a tool, as OpenCode 2 shows them. */
export interface Form {
  readonly id: string;
  readonly sessionID: string;
  readonly title: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly fields: readonly FormField[];
}

/** The answers by field: one text, or several of a `multiselect`. */
export type FormAnswer = Readonly<Record<string, string | readonly string[]>>;

type FormState =
  | { readonly status: 'pending' }
  | { readonly status: 'answered'; readonly answer: FormAnswer }
  | { readonly status: 'cancelled' };

/** All forms of the server, also those that are settled. */
export class Forms {
  readonly #forms = new Map<string, { readonly form: Form; state: FormState }>();

  /** Makes the form of a question request. */
  create({ id, sessionID, questions, tool }: QuestionRequest): Form {
    const form: Form = {
      id: formID(id),
      sessionID,
      title: 'Questions',
      metadata: {
        kind: 'question',
        ...(tool && { tool: { messageID: tool.messageID, id: tool.callID } }),
      },
      fields: questions.map(({ question, header, options, multiple = false }, index) => ({
        key: `q${index}`,
        title: header,
        description: question,
        type: multiple ? 'multiselect' : 'string',
        options: options.map(({ label, description }) => ({ value: label, label, description })),
        // OpenCode 2.0.14 lets the user write an answer whatever the model asks for.
        custom: true,
      })),
    };
    this.#forms.set(form.id, { form, state: { status: 'pending' } });
    return form;
  }

  /** The forms that wait for an answer, oldest first. */
  pending(): Form[] {
    return [...this.#forms.values()]
      .filter(({ state }) => state.status === 'pending')
      .map(({ form }) => form);
  }

  get(id: string): { readonly form: Form; readonly state: FormState } | undefined {
    return this.#forms.get(id);
  }

  /** Stores that a form is answered, or cancelled without an answer. */
  settle(id: string, answer?: FormAnswer): void {
    const known = this.#forms.get(id);
    if (known?.state.status === 'pending')
      known.state = answer === undefined ? { status: 'cancelled' } : { status: 'answered', answer };
  }

  /** Settles what waits, because the process has ended. */
  crash(): void {
    for (const { id } of this.pending()) this.settle(id);
  }
}

/** Says what is wrong with an answer; `undefined` when nothing is. */
export function wrongAnswer({ fields }: Form, answer: Readonly<Record<string, unknown>>): string | undefined {
  const unknown = Object.keys(answer).find((name) => fields.every(({ key }) => key !== name));
  if (unknown !== undefined) return `Unknown form field: ${unknown}`;
  for (const { key, type } of fields) {
    const given = answer[key];
    if (given === undefined) continue;
    const isList = Array.isArray(given) && given.every((one) => typeof one === 'string');
    if (type === 'multiselect' && !isList) return `Expected string array for form field: ${key}`;
    if (type === 'string' && typeof given !== 'string') return `Expected string for form field: ${key}`;
  }
  return undefined;
}

/** The answers in the order of the fields, as a question request takes them. */
export function answersOf({ fields }: Form, answer: FormAnswer): string[][] {
  return fields.map(({ key }) => {
    const given = answer[key] ?? [];
    return typeof given === 'string' ? [given] : [...given];
  });
}

/** The id of the form of a question request. */
export function formID(requestID: string): string {
  return requestID.replace('que_', 'frm_');
}

/** The id of the question request of a form. */
export function requestIDOf(formID: string): string {
  return formID.replace('frm_', 'que_');
}
