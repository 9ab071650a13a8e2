import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import Docker from 'dockerode';
import { JarvisOpenCode, type ServerHandle } from 'jarvis-opencode';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocketServer } from 'ws';
import { openInDocker } from '../../examples/fleet/docker.js';
import { openInKubernetes } from '../../examples/fleet/kubernetes.js';
import { openOverSsh } from '../../examples/fleet/ssh.js';
import { fakeServer } from '../support/fixtures.js';
import { freePort } from '../support/ports.js';
import { isAlive, processesWith } from '../support/processes.js';
import { until } from '../support/wait.js';

const signal = AbortSignal.timeout(60_000);

/** A server on loopback that is gone with the test, and its port. */
async function serve(
  listener: RequestListener,
): Promise<{ readonly port: number; readonly server: ReturnType<typeof createServer> }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return { server, port: (server.address() as AddressInfo).port };
}

function answer(response: ServerResponse, status: number, body?: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += String(piece);
  return JSON.parse(text);
}

/** What stands for the server in a container: healthy for who knows the password. */
function serverWith(password: () => string | undefined): RequestListener {
  return (request, response) => {
    const isKnown = request.headers.authorization === `Basic ${btoa(`opencode:${password()}`)}`;
    if (!isKnown) answer(response, 401, {});
    else if (request.url === '/global/health') answer(response, 200, { healthy: true, version: '1.18.33' });
    else answer(response, 404, {});
  };
}

/** Uses the server as a client that owns it, and closes that. */
async function useAndClose(handle: ServerHandle): Promise<void> {
  const jarvis = new JarvisOpenCode(handle);
  await expect(jarvis.global.health()).resolves.toMatchObject({ healthy: true });
  expect(handle).toMatchObject({ state: 'ready', isOwned: true, version: '1.18.33' });
  expect(JSON.stringify(handle)).not.toContain('Basic');
  await jarvis.close();
  expect(handle.state).toBe('stopped');
}

const SSHD = '/usr/sbin/sshd';

describe.runIf(existsSync(SSHD) && process.getuid?.() === 0)(
  'ssh (skipped without sshd, or unless root)',
  () => {
    /** An sshd on loopback, and what `ssh` needs to reach it. */
    async function sshd(): Promise<{ readonly sshArgs: readonly string[]; readonly host: string }> {
      const root = mkdtempSync(join(tmpdir(), 'jarvis-ssh-'));
      for (const name of ['host', 'user'])
        execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(root, name)]);
      const port = await freePort();
      const config = [
        ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${root}/host`, 'UsePAM no', 'StrictModes no'],
        ...[`AuthorizedKeysFile ${root}/user.pub`, 'PermitRootLogin prohibit-password', 'PidFile none'],
      ];
      writeFileSync(join(root, 'config'), `${config.join('\n')}\n`);
      mkdirSync('/run/sshd', { recursive: true });
      const daemon = spawn(SSHD, ['-D', '-e', '-f', join(root, 'config')], { stdio: 'ignore' });
      onTestFinished(async () => {
        daemon.kill('SIGKILL');
        await once(daemon, 'exit');
        rmSync(root, { recursive: true });
      });
      await until(() => canConnect(port));
      const options = [
        'StrictHostKeyChecking=no',
        `UserKnownHostsFile=${root}/known`,
        'LogLevel=ERROR',
        'IdentitiesOnly=yes',
      ];
      return {
        host: 'root@127.0.0.1',
        sshArgs: [
          '-F',
          '/dev/null',
          '-p',
          String(port),
          '-i',
          join(root, 'user'),
          ...options.flatMap((each) => ['-o', each]),
        ],
      };
    }

    async function canConnect(port: number): Promise<boolean> {
      const socket = connect({ port, host: '127.0.0.1' });
      try {
        await once(socket, 'connect');
        return true;
      } catch {
        return false;
      } finally {
        socket.destroy();
      }
    }

    it('starts a server at the other end, and ends it there with close(), and with the end of ssh', async () => {
      const { host, sshArgs } = await sshd();
      const remotePort = await freePort();
      const command = `JARVIS_TEST_MARKER=over-ssh-${remotePort} ${process.execPath} ${fakeServer('asks-password')}`;
      const servers = (): number[] => processesWith(`over-ssh-${remotePort}`);
      const target = { host, sshArgs, remotePort, command };
      await useAndClose(await openOverSsh(target, signal));
      await until(() => servers().length === 0);

      const handle = await openOverSsh(target, signal);
      expect(servers()).toHaveLength(1);
      const tunnel = childrenOf(process.pid, 'ssh');
      expect(tunnel).toHaveLength(1);
      for (const pid of tunnel) process.kill(pid, 'SIGKILL');
      expect(await handle.closed).toEqual({ code: null, signal: 'SIGKILL' });
      expect(handle.state).toBe('failed');
      await until(() => servers().every((pid) => !isAlive(pid)));
    });

    it('fails when the server does not come up, with nothing left', async () => {
      const { host, sshArgs } = await sshd();
      const target = { host, sshArgs, remotePort: await freePort(), command: 'false' };
      await expect(openOverSsh(target, signal)).rejects.toThrow('ended before it was ready (code 1,');
      expect(childrenOf(process.pid, 'ssh')).toEqual([]);
    });
  },
);

function childrenOf(parent: number, name: string): number[] {
  const rows = execFileSync('ps', ['-Ao', 'pid=,ppid=,comm='], { encoding: 'utf8' }).split('\n');
  return rows
    .map((row) => row.trim().split(/\s+/))
    .flatMap(([pid, ppid, command]) => (Number(ppid) === parent && command === name ? [Number(pid)] : []));
}

describe('docker, on a fake of its API', () => {
  it('runs a server in a container with equal paths, removes what is left of an earlier one, and the container at the end', async () => {
    let password: string | undefined;
    const { port: serverPort } = await serve(serverWith(() => password));
    const calls: string[] = [];
    let created: { Env: string[]; HostConfig: { Binds: string[]; Memory: number } } | undefined;
    const waiting: ServerResponse[] = [];
    const daemon = await serve(async (request, response) => {
      const path = decodeURIComponent(request.url ?? '').replace(/\?.*/, '');
      calls.push(`${request.method} ${path}`);
      if (path === '/containers/json') return answer(response, 200, [{ Id: 'old' }]);
      if (path === '/containers/create') {
        created = (await bodyOf(request)) as NonNullable<typeof created>;
        [password] = created.Env.map((each) => each.replace('OPENCODE_SERVER_PASSWORD=', ''));
        return answer(response, 201, { Id: 'new' });
      }
      if (path === '/containers/new/start') return answer(response, 204);
      if (path === '/containers/new/wait') return void waiting.push(response);
      if (path === '/containers/new/json') {
        const Ports = { '4096/tcp': [{ HostIp: '127.0.0.1', HostPort: String(serverPort) }] };
        return answer(response, 200, { NetworkSettings: { Ports } });
      }
      for (const each of waiting.splice(0)) answer(each, 200, { StatusCode: 137 });
      return answer(response, 204);
    });
    const docker = new Docker({ host: '127.0.0.1', port: daemon.port, protocol: 'http' });
    const target = { image: 'opencode', name: 'heavy', directories: ['/srv/heavy'], memoryBytes: 4e9 };
    const handle = await openInDocker(docker, target, signal);
    expect(created?.HostConfig).toMatchObject({ Binds: ['/srv/heavy:/srv/heavy'], Memory: 4e9 });
    expect(calls.slice(0, 3)).toEqual([
      'GET /containers/json',
      'DELETE /containers/old',
      'POST /containers/create',
    ]);
    await useAndClose(handle);
    expect(calls.at(-1)).toBe('DELETE /containers/new');
    expect(await handle.closed).toEqual({ code: 137, signal: null });
  });
});

describe('kubernetes, on a fake of its API', () => {
  it('runs a server in a pod, reaches it through a forwarded port, and deletes the pod at the end', async () => {
    let password: string | undefined;
    const { port: serverPort } = await serve(serverWith(() => password));
    const calls: string[] = [];
    let reads = 0;
    const api = await serve(async (request, response) => {
      const path = (request.url ?? '').replace(/\?.*/, '');
      calls.push(`${request.method} ${path}`);
      if (request.method === 'POST') {
        const pod = (await bodyOf(request)) as { spec: { containers: { env: { value: string }[] }[] } };
        password = pod.spec.containers[0]?.env[0]?.value;
        return answer(response, 201, pod);
      }
      if (request.method === 'DELETE')
        return answer(response, password === undefined ? 404 : 200, { kind: 'Status', code: 404 });
      return answer(response, 200, { status: { phase: (reads += 1) > 1 ? 'Running' : 'Pending' } });
    });
    forwardPorts(api.server, serverPort);
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'fake', server: `http://127.0.0.1:${api.port}`, skipTLSVerify: true },
      { name: 'fake' },
    );
    const handle = await openInKubernetes(
      config,
      { namespace: 'jarvis', name: 'heavy', image: 'opencode' },
      signal,
    );
    await useAndClose(handle);
    const pods = '/api/v1/namespaces/jarvis/pods';
    expect(calls.slice(0, 3)).toEqual([`DELETE ${pods}/heavy`, `POST ${pods}`, `GET ${pods}/heavy`]);
    expect(calls.at(-1)).toBe(`DELETE ${pods}/heavy`);
  });

  /** Forwards as the API does: the first byte of a message is its channel, 0 for data and 1 for errors; each begins with the port. */
  function forwardPorts(server: ReturnType<typeof createServer>, port: number): void {
    const sockets = new WebSocketServer({ server, handleProtocols: () => 'v4.channel.k8s.io' });
    sockets.on('connection', (client) => {
      const socket = connect({ port, host: '127.0.0.1' });
      for (const channel of [0, 1]) client.send(Buffer.from([channel, 4096 & 0xff, 4096 >> 8]));
      client.on('message', (data: Buffer) => data[0] === 0 && socket.write(data.subarray(1)));
      socket.on('data', (data) => client.send(Buffer.concat([Buffer.from([0]), data])));
      socket.on('close', () => client.close());
      client.on('close', () => socket.destroy());
    });
  }
});
