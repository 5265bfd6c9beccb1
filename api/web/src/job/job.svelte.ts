// Her job as it is now: read by the secret link, renewed by the stream, remembered without a network.
import { api, Refused, type Schema } from '../shared/api';
import { Live } from '../shared/live.svelte';

export type Job = Schema<'BookingResponse'>;
export type Fact = Schema<'Event'>;

interface Kept {
  job: Job;
  facts: Fact[];
}

const PAGE = 100;
const PAGES_MAX = 5;
const KEPT_MAX = 5;
const KEPT = 'tekkie.job.';

export class Following {
  job = $state.raw<Job>();
  facts = $state.raw<Fact[]>([]);
  /** When what is shown was true; empty as soon as it is true now. */
  asOf = $state('');
  missing = $state(false);
  error = $state.raw<unknown>();
  live: Live;
  #id: string;
  #token: string;
  #reading = 0;
  #again = false;

  constructor(id: string, token: string) {
    this.#id = id;
    this.#token = token;
    this.#remember();
    this.live = new Live({ token, heard: this.renew, reload: this.renew });
    void this.renew();
  }

  get path(): { booking_id: string } {
    return { booking_id: this.#id };
  }

  get token(): string {
    return this.#token;
  }

  /** Read it anew: one reading at a time, and one more when something has happened meanwhile. */
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

  /** What an answer says of it. */
  take(job: Job): void {
    this.job = job;
    void this.renew();
  }

  close(): void {
    this.live.close();
  }

  async #read(): Promise<void> {
    try {
      const asked = { path: this.path, token: this.#token };
      const [job, facts] = await Promise.all([
        api.get('/v1/bookings/{booking_id}', asked),
        this.#facts(),
      ]);
      Object.assign(this, { job, facts, asOf: '', error: undefined });
      this.#keep({ job, facts });
    } catch (error) {
      const gone = error instanceof Refused && [401, 403, 404].includes(error.status);
      if (gone) this.#forget();
      else this.error = error;
      if (this.job) this.asOf = this.job.server_time;
    }
  }

  async #facts(): Promise<Fact[]> {
    const found: Fact[] = [];
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

  #remember(): void {
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT + this.#id) ?? 'null') as Kept | null;
      if (!kept) return;
      Object.assign(this, { ...kept, asOf: kept.job.server_time });
    } catch {
      // Nothing is remembered where nothing can be kept.
    }
  }

  #keep(kept: Kept): void {
    try {
      const others = Object.keys(localStorage).filter((name) => name.startsWith(KEPT));
      if (others.length > KEPT_MAX) others.forEach((name) => localStorage.removeItem(name));
      localStorage.setItem(KEPT + this.#id, JSON.stringify(kept));
    } catch {
      // A full or closed store costs no more than the memory of it.
    }
  }

  #forget(): void {
    this.missing = true;
    this.job = undefined;
    try {
      localStorage.removeItem(KEPT + this.#id);
    } catch {
      // Where nothing can be kept, nothing has to be forgotten.
    }
  }
}
