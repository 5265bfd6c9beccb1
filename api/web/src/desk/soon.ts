// Reading anew after something happened: soon, but not at every single fact of a busy minute.
export class Soon {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = 0;

  constructor(
    readonly run: () => Promise<unknown>,
    readonly afterMs: number,
    readonly gapMs: number,
  ) {}

  ask(): void {
    if (this.#timer !== undefined) return;
    const wait = Math.max(this.afterMs, this.#last + this.gapMs - Date.now());
    this.#timer = setTimeout(() => void this.now(), wait);
  }

  async now(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#last = Date.now();
    try {
      await this.run();
    } catch {
      // What was shown stays; the bar says that the line is lost, and the next fact asks again.
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
