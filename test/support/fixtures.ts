import { fileURLToPath } from 'node:url';

/** A fake server in `test/fixtures/bin` that misbehaves on purpose. */
export type FakeServer =
  | 'exits-at-once'
  | 'floods'
  | 'hangs-on-health'
  | 'ignores-sigterm'
  | 'never-healthy'
  | 'not-opencode'
  | 'old-version'
  | 'silent'
  | 'spawns-child';

/** Absolute path of a fake server, for `StartOptions.command`. */
export function fakeServer(name: FakeServer): string {
  return fileURLToPath(new URL(`../fixtures/bin/${name}.mjs`, import.meta.url));
}

/**
 * Configuration of a local MCP server without tools, for `config: { mcp: { fixture: mcpServer() } }`.
 *
 * @param options.stubborn - lets it ignore the end of its stdin and SIGTERM.
 */
export function mcpServer(options: { readonly stubborn?: boolean } = {}): object {
  const script = fileURLToPath(new URL('../fixtures/mcp-server.mjs', import.meta.url));
  return {
    type: 'local',
    command: [process.execPath, script, ...(options.stubborn ? ['--stubborn'] : [])],
    enabled: true,
  };
}
