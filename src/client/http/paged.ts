import type { Page } from './request.js';

/** Reads the page at `cursor`, or the first one. */
export type ReadPage<T> = (cursor: string | undefined) => Promise<Page<T>>;

/**
 * A list that the server sends in pages: `await` it for the first page, or iterate it for all items, page by page. It
 * sends nothing before that.
 */
export class Paged<T> implements PromiseLike<T[]>, AsyncIterable<T> {
  readonly #read: ReadPage<T>;
  readonly #order: (items: T[]) => T[];

  /** @internal `order` turns the items of one page into the order of the iteration. */
  constructor(read: ReadPage<T>, order: (items: T[]) => T[] = (items) => items) {
    this.#read = read;
    this.#order = order;
  }

  then<A = T[], B = never>(
    onFulfilled?: ((items: T[]) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#read(undefined)
      .then((page) => page.items)
      .then(onFulfilled, onRejected);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.#read(cursor);
      yield* this.#order(page.items);
      // A server that answers empty pages with a cursor would never come to an end.
      cursor = page.items.length === 0 ? undefined : page.next;
    } while (cursor !== undefined);
  }
}
