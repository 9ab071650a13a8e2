const MAX_DEPTH = 5;
const MAX_TEXT = 1_000;
const MAX_ITEMS = 20;
/** How many values an excerpt has at most, whatever the shape of what it is made of. */
const MAX_VALUES = 200;

/**
 * Copies any value into JSON of 200 kB at most, however large, deep or circular the value is. Notes of what is left out take its
 * place.
 */
export function excerptOf(value: unknown): unknown {
  let left = MAX_VALUES;
  const copy = (from: unknown, depth: number): unknown => {
    left -= 1;
    if (typeof from === 'string') return cut(from);
    if (typeof from === 'bigint') return String(from);
    if (typeof from !== 'object' || from === null) return from;
    if (depth >= MAX_DEPTH || left <= 0) return '[more]';
    if (from instanceof Error) return cut(`${from.name}: ${from.message}`);
    if (Array.isArray(from)) {
      const items = from.slice(0, MAX_ITEMS).map((item) => copy(item, depth + 1));
      return from.length > MAX_ITEMS ? [...items, `[${from.length - MAX_ITEMS} more]`] : items;
    }
    const keys = Object.keys(from);
    const fields = keys
      .slice(0, MAX_ITEMS)
      .map((key) => [cut(key), copy((from as Record<string, unknown>)[key], depth + 1)] as const);
    const rest = keys.length > MAX_ITEMS ? [['[more]', keys.length - MAX_ITEMS] as const] : [];
    return Object.fromEntries([...fields, ...rest]);
  };
  return copy(value, 0);
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}[${text.length - MAX_TEXT} more]` : text;
}
