const LF = 0x0a;
const CR = 0x0d;
const MAX_PIECES = 4_096;

/**
 * Decodes UTF-8 as it arrives, whole lines at a time. A `TextDecoder` that is told of more to come takes a slow path in Node
 * and makes strings of twice the size; at the end of a line it need not be told.
 */
export class LineDecoder {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** The beginning of a line whose end has not come yet. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #isFirst = true;

  /** How long the line is that was begun. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Takes bytes and returns the lines that they complete, with their ends, in one text or two; a byte order mark at the
   * beginning is left out.
   */
  take(bytes: Uint8Array): string[] {
    const texts: string[] = [];
    const end = endOfLastLine(bytes);
    let start = 0;
    if (end > 0 && this.#pending.length > 0) {
      // Only the line that was begun is put together: all that follows lies in one piece already.
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
    // A piece takes memory of its own, however short it is.
    if (this.#pending.length >= MAX_PIECES) this.#join();
  }

  /** Puts the pieces together in one. */
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
