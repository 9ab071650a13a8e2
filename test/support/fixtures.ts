import { fileURLToPath } from 'node:url';

/** A fake server in `test/fixtures/bin`; all but `healthy` misbehave on purpose. */
export type FakeServer =
  | 'asks-password'
  | 'closes-port'
  | 'exits-at-once'
  | 'floods'
  | 'floods-on-version'
  | 'hangs-on-health'
  | 'healthy'
  | 'ignores-sigterm'
  | 'loses-database-race'
  | 'never-healthy'
  | 'not-opencode'
  | 'old-version'
  | 'out-of-memory'
  | 'silent'
  | 'spawns-child'
  | 'starts-once'
  | 'version-2';

/** Absolute path of a fake server, for `StartOptions.command`. */
export function fakeServer(name: FakeServer): string {
  return fileURLToPath(new URL(`../fixtures/bin/${name}.mjs`, import.meta.url));
}

/**
 * Configuration of a local MCP server without tools, for `config: { mcp: { fixture: mcpServer() } }`.
 *
 * @param options.stubborn - lets it ignore the end of its stdin and SIGTERM.
 * @param options.forks - lets it start a child in a session of its own that ignores SIGTERM and holds its pipes.
 */
export function mcpServer(options: { readonly stubborn?: boolean; readonly forks?: boolean } = {}): object {
  const script = fileURLToPath(new URL('../fixtures/mcp-server.mjs', import.meta.url));
  return {
    type: 'local',
    command: [
      process.execPath,
      script,
      ...(options.stubborn ? ['--stubborn'] : []),
      ...(options.forks ? ['--forks'] : []),
    ],
    enabled: true,
  };
}
