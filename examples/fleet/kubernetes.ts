/**
 * A server in a pod of Kubernetes, by `@kubernetes/client-node`: makes the pod, waits for it, and forwards a port of this machine to it. The
 * cluster ends a pod that this process has left behind after its `activeDeadlineSeconds`, and the next start removes it.
 *
 * Written against the types of the client and tested with a fake of the cluster's API; no cluster has run it.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoreV1Api, PortForward, type KubeConfig, type V1Pod } from '@kubernetes/client-node';
import type { ServerExit, ServerHandle } from 'jarvis-opencode';
import { remoteHandle } from './remote-handle.js';

const PORT = 4096;
const POLL_MS = 1_000;

/** Which pod. */
export interface PodTarget {
  readonly namespace: string;
  readonly name: string;
  /** An image whose `opencode` is on PATH, with the repositories or a volume of them. */
  readonly image: string;
  /** Limits, e.g. `{ memory: '4Gi', cpu: '2' }`. */
  readonly limits?: Readonly<Record<string, string>>;
  /** After how many seconds the cluster ends the pod. @default 86_400 */
  readonly maxSeconds?: number;
}

/** Opens the server; for `open` of a profile. Paths are those in the pod: `paths: 'remote'`. */
export async function openInKubernetes(
  config: KubeConfig,
  target: PodTarget,
  signal: AbortSignal,
): Promise<ServerHandle> {
  const { namespace, name } = target;
  const api = config.makeApiClient(CoreV1Api);
  const password = randomBytes(32).toString('base64url');
  const remove = async (): Promise<void> => {
    await api.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 }).catch(ignoreMissing);
  };
  await remove();
  await api.createNamespacedPod({ namespace, body: podOf(target, password) });
  try {
    await whenRunning(() => api.readNamespacedPod({ name, namespace }), signal);
    const tunnel = await forwardTo(new PortForward(config), namespace, name);
    const over = new AbortController();
    const ended = whenEnded(() => api.readNamespacedPod({ name, namespace }), over.signal);
    const stop = async (): Promise<void> => {
      over.abort();
      tunnel.close();
      await remove();
    };
    return await remoteHandle({ url: `http://127.0.0.1:${tunnel.port}`, password, ended, stop }, signal);
  } catch (error) {
    await remove();
    throw error;
  }
}

function podOf({ name, image, limits, maxSeconds = 86_400 }: PodTarget, password: string): V1Pod {
  return {
    metadata: { name, labels: { 'jarvis-opencode': name } },
    spec: {
      restartPolicy: 'Never',
      activeDeadlineSeconds: maxSeconds,
      containers: [
        {
          name: 'opencode',
          image,
          command: ['opencode', 'serve', '--hostname', '127.0.0.1', '--port', String(PORT)],
          env: [{ name: 'OPENCODE_SERVER_PASSWORD', value: password }],
          ...(limits && { resources: { limits: { ...limits } } }),
        },
      ],
    },
  };
}

async function whenRunning(read: () => Promise<V1Pod>, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { phase, message } = (await read()).status ?? {};
    if (phase === 'Running') return;
    if (phase === 'Failed' || phase === 'Succeeded') throw new Error(`The pod ended: ${message ?? phase}.`);
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Resolves when the pod has ended, or cannot be found; also when `signal` aborts. */
async function whenEnded(read: () => Promise<V1Pod>, signal: AbortSignal): Promise<ServerExit> {
  for (;;) {
    await sleep(POLL_MS, undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return { code: null, signal: null };
    const pod = await read().catch((error: unknown) => (isMissing(error) ? null : undefined));
    // Without an answer nothing is known.
    if (pod === undefined) continue;
    const phase = pod?.status?.phase;
    if (phase === 'Pending' || phase === 'Running') continue;
    const code = pod?.status?.containerStatuses?.[0]?.state?.terminated?.exitCode;
    return { code: code ?? null, signal: null };
  }
}

/** Listens on a free port of loopback; each connection gets a stream of its own to the pod. */
async function forwardTo(
  forward: PortForward,
  namespace: string,
  name: string,
): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    forward.portForward(namespace, name, [PORT], socket, null, socket).then(
      (stream) => {
        const end = (): void => {
          if (typeof stream !== 'function') stream.close();
        };
        socket.once('close', end);
      },
      () => socket.destroy(),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}

function isMissing(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === 404;
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
