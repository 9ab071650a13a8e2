/**
 * A map that all copies of this library in a process have in common, also when a development server evaluates the library
 * again.
 *
 * @param name - of a registered symbol, under which it stands on `globalThis`.
 */
export function processRegistry<T>(name: string): Map<string, T> {
  const holder = globalThis as { [key: symbol]: Map<string, T> | undefined };
  const symbol = Symbol.for(`jarvis-opencode:${name}`);
  const present = holder[symbol];
  if (present !== undefined) return present;
  const made = new Map<string, T>();
  Object.defineProperty(holder, symbol, { value: made });
  return made;
}
