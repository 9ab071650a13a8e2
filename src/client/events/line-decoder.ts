const LF = 0x0a;
const CR = 0x0d;

/**
 * Decodes UTF-8 as it arrives, whole lines at a time. A `TextDecoder` that is told of more to come takes a slow path in Node
 * and makes strings of twice the size; at the end of a line it need not be told.
 */
export class LineDecoder {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #maxLineBytes: number;
  /** The beginning of a line whose end has not come yet. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #isFirst = true;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /**
   * Takes bytes and returns the lines that they complete, with their ends; a byte order mark at the beginning is left out.
   *
   * @throws {RangeError} when a line gets longer than `maxLineBytes`.
   */
  take(bytes: Uint8Array): string {
    const end = endOfLines(bytes);
    if (end === 0) {
      this.#keep(bytes);
      return '';
    }
    const lines = this.#decoder.decode(this.#withPending(bytes.subarray(0, end)));
    if (end < bytes.length) this.#keep(bytes.subarray(end));
    if (!this.#isFirst) return lines;
    this.#isFirst = false;
    return lines.startsWith('\uFEFF') ? lines.slice(1) : lines;
  }

  #keep(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > this.#maxLineBytes) {
      throw new RangeError(`A line of more than ${this.#maxLineBytes} bytes`);
    }
  }

  #withPending(bytes: Uint8Array): Uint8Array {
    if (this.#pending.length === 0) return bytes;
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

/** Where the last line end in `bytes` ends; 0 when there is none. A line ends with LF, CR LF or CR. */
function endOfLines(bytes: Uint8Array): number {
  const afterLF = bytes.lastIndexOf(LF) + 1;
  return afterLF + bytes.subarray(afterLF).lastIndexOf(CR) + 1;
}
