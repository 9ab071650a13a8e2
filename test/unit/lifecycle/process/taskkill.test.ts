import { expect, it } from 'vitest';
import { taskkillCommand } from '../../../../src/lifecycle/process/taskkill.js';

// Windows itself is not there to try it on: this is the command that would run.
it.each([
  ['D:\\WINNT', 'D:\\WINNT\\System32\\taskkill.exe'],
  [undefined, 'C:\\Windows\\System32\\taskkill.exe'],
])('builds a taskkill command that ends the whole tree by force (%s)', (systemRoot, command) => {
  expect(taskkillCommand(4711, systemRoot)).toEqual({ command, args: ['/PID', '4711', '/T', '/F'] });
});
