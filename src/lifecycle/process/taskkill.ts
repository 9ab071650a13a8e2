import { spawnSync } from 'node:child_process';
import { win32 } from 'node:path';

/** The Windows command that ends a process and all that descends from it. */
export function taskkillCommand(
  pid: number,
  systemRoot: string | undefined,
): { readonly command: string; readonly args: readonly string[] } {
  return {
    command: win32.join(systemRoot ?? 'C:\\Windows', 'System32', 'taskkill.exe'),
    args: ['/PID', String(pid), '/T', '/F'],
  };
}

/** Ends a process and its descendants on Windows, which has neither process groups nor a signal that asks to end. */
export function taskkill(pid: number): void {
  const { command, args } = taskkillCommand(pid, process.env.SystemRoot);
  spawnSync(command, args, { stdio: 'ignore', windowsHide: true });
}
