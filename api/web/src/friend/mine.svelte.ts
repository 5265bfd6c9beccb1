// The friend's own offers, jobs and profile, read again on every event.
import { api, Refused, Unreachable, type Schema } from '../shared/api';
import { clock } from '../shared/clock.svelte';
import { Live, type LiveEvent } from '../shared/live.svelte';
import { setZone } from '../shared/zone.svelte';
import { offers as stored } from './storage';
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
  /** The cursor of the next page of jobs, if there are older ones. */
  older = $state<string | null>(null);
  /** How an offer ended while this page was open. */
  ends = $state<Record<string, End>>({});
  live = $state.raw<Live>();
  /** Every offer received, so that an ended one can still be displayed. */
  #received = new Map<string, Offer>();
  #loading: Promise<void> | undefined;
  #stale = false;

  begin(): () => void {
    if (!navigator.onLine) void this.#restore();
    void this.load();
    const live = new Live({
      onevent: (event) => this.#handle(event),
      onreload: () => void this.load(),
    });
    this.live = live;
    return () => live.close();
  }

  known(offerId: string): Offer | undefined {
    return this.#received.get(offerId);
  }

  /** Read everything; a call during a reading makes it read once more. */
  load(): Promise<void> {
    this.#stale = true;
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  /** A job of any age; undefined when it is not this friend's. */
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
        this.#setOffers(offers.items);
        const read = offers.items.at(-1) ?? jobs.items.at(-1);
        if (read) clock.sync(read.server_time, asked);
        this.jobs = jobs.items;
        this.older = jobs.next_cursor;
        this.profile = profile;
        setZone(profile.timezone);
        this.error = undefined;
        const ahead_ms = clock.read() - Date.now();
        await stored.put({ all: offers.items, ahead_ms }).catch(() => undefined);
      } catch (error) {
        this.failed(error);
        if (error instanceof Unreachable && !this.offers) await this.#restore();
      }
    }
  }

  #setOffers(offers: Offer[]): void {
    const fresh = offers.some((offer) => !this.#received.has(offer.id));
    for (const offer of offers) this.#received.set(offer.id, offer);
    // Offers from before the page was opened have already rung by push.
    if (fresh && this.offers) ring();
    this.offers = offers;
  }

  /** Without network use the stored offers, so that they can be answered. */
  async #restore(): Promise<void> {
    const before = await stored.get().catch(() => undefined);
    if (!before || this.offers) return;
    for (const offer of before.all) this.#received.set(offer.id, offer);
    clock.sync(new Date(Date.now() + before.ahead_ms).toISOString());
    this.offers = before.all;
  }

  #handle({ event, data }: LiveEvent): void {
    const { offer_id, because } = (data.data ?? {}) as { offer_id?: string; because?: End };
    if (event === 'offer.gone' && offer_id && ENDS.has(because)) {
      this.ends[offer_id] = because as End;
      this.offers = this.offers?.filter((offer) => offer.id !== offer_id);
    }
    void this.load();
  }
}

export const mine = new Mine();
