/**
 * Has `return()` and `throw()` of a generator call `end` first. By itself a generator lets them wait until a pending `next()` has got
 * something; `end` ends what that waits for.
 */
export function endAtOnce<T>(
  generator: AsyncGenerator<T, void, undefined>,
  end: () => void,
): AsyncGenerator<T, void, undefined> {
  const onReturn = generator.return.bind(generator);
  const onThrow = generator.throw.bind(generator);
  return Object.assign(generator, {
    return: () => {
      end();
      return onReturn();
    },
    throw: (error: unknown) => {
      end();
      return onThrow(error);
    },
  });
}
