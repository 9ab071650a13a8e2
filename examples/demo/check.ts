/** Something did not happen as it must. */
export class StoryError extends Error {
  override readonly name = 'StoryError';
}

/** @throws {StoryError} unless `condition` holds. */
export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new StoryError(what);
}
