// The server's clock: countdowns count by it, whatever the device believes.
const SOON_MS = 1000;
const LEAP_MS = 20_000;

class Clock {
  /** Milliseconds the server is ahead of this device. */
  #ahead = 0;
  /** The server's time, renewed every second while somebody looks. */
  now = $state(Date.now());
  #watching = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `asked`: this device's time when it was asked for. A device that slept until the answer goes by that. */
  tell(serverTime: string, asked = Date.now()): void {
    const said = Date.parse(serverTime);
    const now = Date.now();
    if (Number.isFinite(said)) this.#ahead = said - (now - asked > LEAP_MS ? asked : now);
    this.#tick();
  }

  read(): number {
    return Date.now() + this.#ahead;
  }

  /** Let `now` run; returns how to stop. Meant for `$effect(() => clock.watch())`. */
  watch(): () => void {
    if (this.#watching++ === 0) {
      this.#tick();
      this.#timer = setInterval(() => this.#tick(), SOON_MS);
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
