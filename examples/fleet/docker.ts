/**
 * A server in a container of Docker or Podman, by `dockerode`. The daemon keeps a container when this process is killed, so the next start
 * removes what carries the label.
 *
 * Written against the types of dockerode and tested with a fake of the daemon's API; no daemon has run it.
 */
import { randomBytes } from 'node:crypto';
import type Docker from 'dockerode';
import type { ServerExit, ServerHandle } from 'jarvis-opencode';
import { remoteHandle } from './remote-handle.js';

const LABEL = 'jarvis-opencode';
const PORT = '4096/tcp';

/** Which container. */
export interface ContainerTarget {
  /** An image whose `opencode` is on PATH. */
  readonly image: string;
  /** Names this server among those of the daemon: no other process may use it at the same time. */
  readonly name: string;
  /** Directories of the host, each at the same path in the container, so that paths mean the same here and there. */
  readonly directories: readonly string[];
  readonly memoryBytes?: number;
}

/** Opens the server; for `open` of a profile, with `paths: 'local'` because of the equal paths. */
export async function openInDocker(
  docker: Docker,
  target: ContainerTarget,
  signal: AbortSignal,
): Promise<ServerHandle> {
  const { image, name, directories, memoryBytes } = target;
  await removeLeftovers(docker, name);
  const password = randomBytes(32).toString('base64url');
  const container = await docker.createContainer({
    Image: image,
    Cmd: ['opencode', 'serve', '--hostname', '0.0.0.0', '--port', '4096'],
    Env: [`OPENCODE_SERVER_PASSWORD=${password}`],
    Labels: { [LABEL]: name },
    ExposedPorts: { [PORT]: {} },
    HostConfig: {
      // A free port of loopback only.
      PortBindings: { [PORT]: [{ HostIp: '127.0.0.1', HostPort: '0' }] },
      Binds: directories.map((path) => `${path}:${path}`),
      ...(memoryBytes !== undefined && { Memory: memoryBytes }),
      Init: true,
    },
  });
  const remove = (): Promise<void> => container.remove({ force: true, v: true }).then(() => undefined);
  try {
    signal.throwIfAborted();
    await container.start();
    const ended = container.wait().then(
      ({ StatusCode }: { StatusCode: number }): ServerExit => ({ code: StatusCode, signal: null }),
      (): ServerExit => ({ code: null, signal: null }),
    );
    const { NetworkSettings } = await container.inspect();
    const port = NetworkSettings.Ports[PORT]?.[0]?.HostPort;
    if (port === undefined) throw new Error(`The container of ${image} has no port.`);
    return await remoteHandle({ url: `http://127.0.0.1:${port}`, password, ended, stop: remove }, signal);
  } catch (error) {
    await remove().catch(() => undefined);
    throw error;
  }
}

/** Removes the containers that an earlier process has left behind. */
async function removeLeftovers(docker: Docker, name: string): Promise<void> {
  const left = await docker.listContainers({ all: true, filters: { label: [`${LABEL}=${name}`] } });
  await Promise.all(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
}
