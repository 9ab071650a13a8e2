import { AsyncResource } from 'node:async_hooks';
import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel';
import type { Bind, Traces, Tracing } from '../../core/tracing.js';

const PARTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;

/** The tracing channels of `node:diagnostics_channel`, one for each kind of trace. */
const channels: { readonly [K in keyof Traces]: TracingChannel<unknown, Traces[K]> } = {
  call: tracingChannel('jarvis-opencode:call'),
  turn: tracingChannel('jarvis-opencode:turn'),
  disposal: tracingChannel('jarvis-opencode:disposal'),
  restart: tracingChannel('jarvis-opencode:restart'),
};

const bind: Bind = (run) => AsyncResource.bind(run);

/** Publishes on the tracing channels, in the asynchronous context that their subscribers bind. */
export const nodeTracing: Tracing = {
  // The property of the channel as a whole is not in Bun 1.4.
  isTraced: (name) => PARTS.some((part) => channels[name][part].hasSubscribers),
  trace: (name, payload, run) => {
    const channel = channels[name] as TracingChannel<unknown, object>;
    return channel.tracePromise(() => run(bind), payload);
  },
};
