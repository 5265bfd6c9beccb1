// The server's clock, which countdowns use: the clock of the device may be wrong.
const TICK_MS = 1000;
const LEAP_MS = 20_000;

class Clock {
  /** Milliseconds the server is ahead of this device. */
  #ahead = 0;
  /** The server's time, renewed every second while it is watched. */
  now = $state(Date.now());
  #watching = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `asked`: this device's time of the request, used instead of now when the device slept since. */
  sync(serverTime: string, asked = Date.now()): void {
    const server = Date.parse(serverTime);
    const now = Date.now();
    if (Number.isFinite(server)) this.#ahead = server - (now - asked > LEAP_MS ? asked : now);
    this.#tick();
  }

  read(): number {
    return Date.now() + this.#ahead;
  }

  /** Keep `now` up to date; returns a function that stops it: `$effect(() => clock.watch())`. */
  watch(): () => void {
    if (this.#watching++ === 0) {
      this.#tick();
      this.#timer = setInterval(() => this.#tick(), TICK_MS);
    }
    return () => {
      if (--this.#watching === 0) clearInterval(this.#timer);
    };
  }

  #tick(): void {
    this.now = this.read();
  }
}

export const clock = new Clock();
