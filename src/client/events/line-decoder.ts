const LF = 0x0a;
const CR = 0x0d;
const MAX_PIECES = 4_096;

/**
 * Decodes UTF-8 as it arrives, whole lines at a time. In Node, a `TextDecoder` with `{ stream: true }` takes a slow path and makes
 * strings of twice the size; text that ends with a line needs no such option.
 */
export class LineDecoder {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** The pieces of a line that has not ended yet. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #isFirst = true;

  /** How many bytes of a line that has not ended are kept. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Takes bytes and returns the lines that they complete, with their line ends, in one text or two. Leaves out a byte order mark at
   * the beginning of the stream.
   */
  take(bytes: Uint8Array): string[] {
    const texts: string[] = [];
    const end = endOfLastLine(bytes);
    let start = 0;
    if (end > 0 && this.#pending.length > 0) {
      // Only the first line has pieces to join: all that follows is in one piece.
      start = endOfFirstLine(bytes);
      texts.push(this.#decode(this.#withPending(bytes.subarray(0, start))));
    }
    if (start < end) texts.push(this.#decode(bytes.subarray(start, end)));
    if (end < bytes.length) this.#keep(bytes.subarray(end));
    return texts;
  }

  #decode(bytes: Uint8Array): string {
    const text = this.#decoder.decode(bytes);
    if (!this.#isFirst) return text;
    this.#isFirst = false;
    return text.startsWith('\uFEFF') ? text.slice(1) : text;
  }

  #keep(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    // Each piece takes memory of its own, however short it is.
    if (this.#pending.length >= MAX_PIECES) this.#join();
  }

  /** Joins the pieces. */
  #join(): void {
    const joined = this.#withPending(new Uint8Array());
    this.#pending.push(joined);
    this.#pendingBytes = joined.length;
  }

  #withPending(bytes: Uint8Array): Uint8Array {
    const joined = new Uint8Array(this.#pendingBytes + bytes.length);
    let offset = 0;
    for (const piece of [...this.#pending, bytes]) {
      joined.set(piece, offset);
      offset += piece.length;
    }
    this.#pending = [];
    this.#pendingBytes = 0;
    return joined;
  }
}

/** Where the first line end in `bytes` ends; there is one. */
function endOfFirstLine(bytes: Uint8Array): number {
  const afterLF = bytes.indexOf(LF) + 1;
  const afterCR = bytes.subarray(0, afterLF === 0 ? undefined : afterLF).indexOf(CR) + 1;
  return afterCR === 0 ? afterLF : afterCR;
}

/** Where the last line end in `bytes` ends; 0 when there is none. A line ends with LF, CR LF or CR. */
function endOfLastLine(bytes: Uint8Array): number {
  const afterLF = bytes.lastIndexOf(LF) + 1;
  return afterLF + bytes.subarray(afterLF).lastIndexOf(CR) + 1;
}
