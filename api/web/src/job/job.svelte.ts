// The customer's booking: read by the secret link, renewed by the stream, stored for use offline.
import { api, Refused, type Schema } from '../shared/api';
import { Live } from '../shared/live.svelte';
import { setZone } from '../shared/zone.svelte';

export type Job = Schema<'BookingResponse'>;
export type JobEvent = Schema<'Event'>;

interface Stored {
  job: Job;
  events: JobEvent[];
}

const PAGE = 100;
const PAGES_MAX = 5;
const STORED_MAX = 5;
const STORAGE_PREFIX = 'tekkie.job.';

export class Following {
  job = $state.raw<Job>();
  events = $state.raw<JobEvent[]>([]);
  /** The time of the displayed state while it may be stale; else empty. */
  asOf = $state('');
  missing = $state(false);
  /** This link was made invalid here; another one is on its way by mail. */
  revoked = $state(false);
  error = $state.raw<unknown>();
  live: Live;
  #id: string;
  #token: string;
  #reading = 0;
  #again = false;
  /** Counts the states that `use` was given: a reading that began before one is out of date. */
  #used = 0;

  constructor(id: string, token: string) {
    this.#id = id;
    this.#token = token;
    this.#restore();
    this.live = new Live({ token, onevent: this.renew, onreload: this.renew });
    void this.renew();
  }

  get path(): { booking_id: string } {
    return { booking_id: this.#id };
  }

  get token(): string {
    return this.#token;
  }

  /** Read it again: one request at a time, and another one if it is called meanwhile. */
  renew = async (): Promise<void> => {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = 1;
    do {
      this.#again = false;
      await this.#read();
    } while (this.#again);
    this.#reading = 0;
  };

  /** Use the booking of a response. */
  use(job: Job): void {
    this.#used += 1;
    this.job = job;
    setZone(job.timezone);
    void this.renew();
  }

  /** This link is invalid from now on. */
  revoke(): void {
    this.revoked = true;
    this.close();
    this.#forget();
  }

  close(): void {
    this.live.close();
  }

  async #read(): Promise<void> {
    const used = this.#used;
    try {
      const asked = { path: this.path, token: this.#token };
      const [job, events] = await Promise.all([
        api.get('/v1/bookings/{booking_id}', asked),
        this.#readEvents(),
      ]);
      if (used !== this.#used) return;
      setZone(job.timezone);
      Object.assign(this, { job, events, asOf: '', error: undefined });
      this.#store({ job, events });
    } catch (error) {
      const gone = error instanceof Refused && [401, 403, 404].includes(error.status);
      if (gone) this.#forget();
      else this.error = error;
      if (this.job) this.asOf = this.job.server_time;
    }
  }

  async #readEvents(): Promise<JobEvent[]> {
    const found: JobEvent[] = [];
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const after = found.at(-1)?.seq ?? 0;
      const { items, next_cursor } = await api.get('/v1/bookings/{booking_id}/events', {
        path: this.path,
        query: { after, limit: PAGE },
        token: this.#token,
      });
      found.push(...items);
      if (!next_cursor) break;
    }
    return found;
  }

  #restore(): void {
    try {
      const text = localStorage.getItem(STORAGE_PREFIX + this.#id);
      const stored = JSON.parse(text ?? 'null') as Stored | null;
      if (!stored) return;
      setZone(stored.job.timezone);
      Object.assign(this, { ...stored, asOf: stored.job.server_time });
    } catch {
      // Without storage there is nothing to restore.
    }
  }

  #store(stored: Stored): void {
    try {
      const others = Object.keys(localStorage).filter((name) => name.startsWith(STORAGE_PREFIX));
      if (others.length > STORED_MAX) others.forEach((name) => localStorage.removeItem(name));
      localStorage.setItem(STORAGE_PREFIX + this.#id, JSON.stringify(stored));
    } catch {
      // Storage is full or not allowed: the page works without it.
    }
  }

  #forget(): void {
    this.missing = true;
    this.job = undefined;
    try {
      localStorage.removeItem(STORAGE_PREFIX + this.#id);
    } catch {
      // Without storage there is nothing to remove.
    }
  }
}
