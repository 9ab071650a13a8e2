/**
 * Prints what the library does as OpenTelemetry spans: each turn with the calls that it made, disposals and restarts.
 *
 *   npx tsx examples/opentelemetry.ts PATH "What is this repository for?"
 *
 * Needs `@opentelemetry/api` and an SDK; in an application use the exporter of your collector.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { tracingChannel } from 'node:diagnostics_channel';
import { resolve } from 'node:path';
import { argv, stdout } from 'node:process';
import { pathToFileURL } from 'node:url';
import {
  context,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type Tracer,
} from '@opentelemetry/api';
import { BasicTracerProvider, ConsoleSpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import {
  JarvisOpenCode,
  type CallTrace,
  type DisposalTrace,
  type RestartTrace,
  type TurnTrace,
} from 'jarvis-opencode';

/** What a span of a trace is called, and what stands in it from the begin. */
interface Kind<T> {
  readonly kind: SpanKind;
  readonly name: (trace: T) => string;
  readonly attributes: (trace: T) => Attributes;
  /** What is known at the end. */
  readonly ended?: (trace: T) => Attributes | undefined;
}

const call: Kind<CallTrace> = {
  kind: SpanKind.CLIENT,
  name: ({ method, path }) => `${method} ${path.replaceAll(/\/[a-z]{3}(_|%5F)[^/]+/g, '/{id}')}`,
  attributes: ({ method, path, directory = '' }) => ({
    'http.request.method': method,
    'url.path': path,
    'jarvis.directory': directory,
  }),
};
const turn: Kind<TurnTrace> = {
  kind: SpanKind.INTERNAL,
  name: ({ kind }) => `turn ${kind}`,
  attributes: ({ sessionID, messageID, directory }) => ({
    'gen_ai.conversation.id': sessionID,
    'jarvis.message': messageID,
    'jarvis.directory': directory,
  }),
  ended: ({ result }) =>
    result && {
      'gen_ai.usage.input_tokens': result.tokens.input,
      'gen_ai.usage.output_tokens': result.tokens.output,
      'jarvis.cost': result.cost,
    },
};
const disposal: Kind<DisposalTrace> = {
  kind: SpanKind.INTERNAL,
  name: () => 'dispose',
  attributes: ({ directories, reason }) => ({
    'jarvis.directories': [...directories],
    'jarvis.reason': reason,
  }),
};
const restart: Kind<RestartTrace> = {
  kind: SpanKind.INTERNAL,
  name: () => 'restart',
  attributes: ({ isRequested }) => ({ 'jarvis.requested': isRequested }),
  ended: ({ attempts }) => ({ 'jarvis.attempts': attempts }),
};

/** Makes spans of everything from now on; the returned function ends that. */
export function traceJarvis(tracer: Tracer): () => void {
  const contexts = new AsyncLocalStorage<Context>();
  const ends = [
    follow(tracer, contexts, 'call', call),
    follow(tracer, contexts, 'turn', turn),
    follow(tracer, contexts, 'disposal', disposal),
    follow(tracer, contexts, 'restart', restart),
  ];
  return () => {
    for (const end of ends) end();
  };
}

function follow<T extends { readonly error?: unknown }>(
  tracer: Tracer,
  contexts: AsyncLocalStorage<Context>,
  channelName: string,
  { kind, name, attributes, ended }: Kind<T>,
): () => void {
  const spans = new WeakMap<object, Span>();
  const channel = tracingChannel<Context, T>(`jarvis-opencode:${channelName}`);
  // Called at the begin: what runs within the trace finds this context, and makes spans below this one.
  channel.start.bindStore(contexts, (message) => {
    const parent = contexts.getStore() ?? context.active();
    const span = tracer.startSpan(name(message), { kind, attributes: attributes(message) }, parent);
    spans.set(message, span);
    return trace.setSpan(parent, span);
  });
  const nothing = (): void => undefined;
  const subscribers = {
    start: nothing,
    end: nothing,
    asyncStart: nothing,
    asyncEnd: (message: T): void => {
      const span = spans.get(message);
      span?.setAttributes(ended?.(message) ?? {});
      span?.end();
    },
    error: (message: T): void => {
      const error = message.error instanceof Error ? message.error : new Error(String(message.error));
      spans.get(message)?.recordException(error);
      spans.get(message)?.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    },
  };
  channel.subscribe(subscribers);
  return () => {
    channel.unsubscribe(subscribers);
    channel.start.unbindStore(contexts);
  };
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(new ConsoleSpanExporter())],
  });
  traceJarvis(provider.getTracer('jarvis-opencode'));
  await using jarvis = await JarvisOpenCode.start({ permissions: 'deny' });
  const { text } = await jarvis
    .forRepo(resolve(argv[2] ?? '.'))
    .prompt(argv[3] ?? 'What is this repository for?');
  stdout.write(`${text}\n`);
}
