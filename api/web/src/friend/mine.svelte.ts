// What is mine: offers, jobs and profile, read when something happened to them.
import { api, Refused, Unreachable, type Schema } from '../shared/api';
import { clock } from '../shared/clock.svelte';
import { Live, type Heard } from '../shared/live.svelte';
import { offers as kept } from './keep';
import { ring } from './ring';

export type Offer = Schema<'Offer'>;
export type Job = Schema<'Job'>;
export type Profile = Schema<'ProfileResponse'>;
export type End = 'lost' | 'withdrawn' | 'expired' | 'declined';

const PAGE = 50;
const PAGES_MAX = 20;
const ENDS = new Set<unknown>(['lost', 'withdrawn', 'expired', 'declined']);

class Mine {
  offers = $state.raw<Offer[]>();
  jobs = $state.raw<Job[]>();
  profile = $state.raw<Profile>();
  error = $state.raw<unknown>();
  signedOut = $state(false);
  /** Whether there are older jobs than those read. */
  older = $state<string | null>(null);
  /** How an offer ended while this page was open. */
  ends = $state<Record<string, End>>({});
  live = $state.raw<Live>();
  /** Every offer seen, so that one which has gone still has a name. */
  #seen = new Map<string, Offer>();
  #loading: Promise<void> | undefined;
  #stale = false;

  begin(): () => void {
    if (!navigator.onLine) void this.#remember();
    void this.load();
    const live = new Live({ heard: (heard) => this.#heard(heard), reload: () => void this.load() });
    this.live = live;
    return () => live.close();
  }

  known(offerId: string): Offer | undefined {
    return this.#seen.get(offerId);
  }

  /** Read all of it; whoever asks while it is being read gets it read once more. */
  load(): Promise<void> {
    this.#stale = true;
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  /** A job, however old; undefined when it is not mine, or no longer. */
  async job(bookingId: string): Promise<Job | undefined> {
    await this.#loading;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const found = this.jobs?.find((job) => job.booking_id === bookingId);
      if (found || !this.older) return found;
      await this.more();
    }
    return undefined;
  }

  async more(): Promise<void> {
    if (!this.older) return;
    const query = { limit: PAGE, cursor: this.older };
    const { items, next_cursor } = await api.get('/v1/me/jobs', { query });
    this.jobs = [...(this.jobs ?? []), ...items];
    this.older = next_cursor;
  }

  failed(error: unknown): void {
    if (error instanceof Refused && error.status === 401) this.signedOut = true;
    else this.error = error;
  }

  async #load(): Promise<void> {
    while (this.#stale) {
      this.#stale = false;
      const asked = Date.now();
      try {
        const [offers, jobs, profile] = await Promise.all([
          api.get('/v1/me/offers'),
          api.get('/v1/me/jobs', { query: { limit: PAGE } }),
          api.get('/v1/me/profile'),
        ]);
        this.#show(offers.items, asked);
        this.jobs = jobs.items;
        this.older = jobs.next_cursor;
        this.profile = profile;
        this.error = undefined;
        const ahead_ms = clock.read() - Date.now();
        await kept.put({ all: offers.items, ahead_ms }).catch(() => undefined);
      } catch (error) {
        this.failed(error);
        if (error instanceof Unreachable && !this.offers) await this.#remember();
      }
    }
  }

  #show(offers: Offer[], asked: number): void {
    const fresh = offers.some((offer) => !this.#seen.has(offer.id));
    for (const offer of offers) this.#seen.set(offer.id, offer);
    // What rang before this page was opened rang on the phone.
    if (fresh && this.offers) ring();
    this.offers = offers;
    const last = offers.at(-1);
    if (last) clock.tell(last.server_time, asked);
  }

  /** Without network at least what was on offer is there to be answered. */
  async #remember(): Promise<void> {
    const before = await kept.get().catch(() => undefined);
    if (!before || this.offers) return;
    for (const offer of before.all) this.#seen.set(offer.id, offer);
    clock.tell(new Date(Date.now() + before.ahead_ms).toISOString());
    this.offers = before.all;
  }

  #heard({ event, data }: Heard): void {
    const { offer_id, because } = (data.data ?? {}) as { offer_id?: string; because?: End };
    if (event === 'offer.gone' && offer_id && ENDS.has(because)) {
      this.ends[offer_id] = because as End;
      this.offers = this.offers?.filter((offer) => offer.id !== offer_id);
    }
    void this.load();
  }
}

export const mine = new Mine();
