/** How much of a failure a row shows. */
const MAX_SHOWN = 400;

/** The rows that a script prints: what was run with which tool, and its result. */
export class Matrix {
  #failed = 0;

  /**
   * Runs one case and prints its row, `tool version what result`. A rejection makes the row a failure, and the exit code of this
   * process 1; the next cases still run.
   */
  async row(tool: string, version: string, what: string, run: () => Promise<void>): Promise<void> {
    const failure = await run().then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error)),
    );
    print(tool, version, what, failure === undefined ? 'ok' : 'FAILED');
    if (failure === undefined) return;
    console.log(failure.slice(0, MAX_SHOWN).replace(/^/gm, '    '));
    this.#failed += 1;
    process.exitCode = 1;
  }

  /** Prints a row for what cannot run here. */
  skip(tool: string, version: string, why: string): void {
    print(tool, version, why, 'not run');
  }

  get failed(): number {
    return this.#failed;
  }
}

function print(tool: string, version: string, what: string, result: string): void {
  console.log(`${tool.padEnd(10)} ${version.padEnd(10)} ${what.padEnd(52)} ${result}`);
}
