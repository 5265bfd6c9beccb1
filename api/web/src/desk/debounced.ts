// Debounces reading after events: soon after the first, but not once per event of a busy minute.
export class Debounced {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = 0;

  constructor(
    readonly run: () => Promise<unknown>,
    readonly afterMs: number,
    readonly gapMs: number,
  ) {}

  schedule(): void {
    if (this.#timer !== undefined) return;
    const wait = Math.max(this.afterMs, this.#last + this.gapMs - Date.now());
    this.#timer = setTimeout(() => void this.runNow(), wait);
  }

  async runNow(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#last = Date.now();
    try {
      await this.run();
    } catch {
      // The former data stay; the bar reports the lost connection, and the next event tries again.
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
