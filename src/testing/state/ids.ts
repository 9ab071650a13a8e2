/** The kind of thing that an id names: its first letters. */
export type IdKind = 'ses' | 'msg' | 'prt' | 'evt' | 'call' | 'per' | 'que' | 'pty' | 'psv' | 'sh';

/** Makes ascending ids, the same in every run. */
export class Ids {
  #count = 0;

  next(kind: IdKind): string {
    this.#count += 1;
    return `${kind}_${String(this.#count).padStart(10, '0')}`;
  }
}
