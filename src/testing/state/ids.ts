/** What an id names, as its first letters tell. */
export type IdKind = 'ses' | 'msg' | 'prt' | 'evt' | 'call' | 'per' | 'que' | 'pty';

/** Makes ids that ascend in the order they are made, the same in every run. */
export class Ids {
  #count = 0;

  next(kind: IdKind): string {
    this.#count += 1;
    return `${kind}_${String(this.#count).padStart(10, '0')}`;
  }
}
