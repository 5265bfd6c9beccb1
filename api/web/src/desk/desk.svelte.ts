// What the desk knows: counts, numbers of the day, the map, and the stream that moves them.
import { api } from '../shared/api';
import { language } from '../shared/i18n.svelte';
import { Live, type Heard } from '../shared/live.svelte';
import type { Schema } from '../shared/api';
import { Soon } from './soon';
import type { BookingState, Columns, Market, Queues } from './types';
import { MARKETS } from './types';

const COUNT_MS = [300, 2000] as const;
const MAP_MS = [400, 8000] as const;
const DRAW_MS = [100, 500] as const;
const NUMBERS_MS = 60_000;

/** The state a booking is in after a fact. */
const MOVES: Record<string, BookingState> = {
  'booking.offered': 'open',
  'booking.awarded': 'awarded',
  'booking.contacted': 'contacted',
  'booking.scheduled': 'scheduled',
  'booking.started': 'under_way',
  'booking.completed': 'completed',
  'booking.incomplete': 'incomplete',
  'booking.unfilled': 'unfilled',
  'booking.cancelled': 'cancelled',
};

type Hearer = (bookingId: string, heard: Heard) => void;

export class Desk {
  queues = $state.raw<Queues>();
  numbers = $state.raw<Schema<'NumbersResponse'>>();
  market = $state<Market | null>(null);
  columns = $state.raw<Columns>();
  mapError = $state.raw<unknown>();
  packages = $state.raw<Record<string, string>>({});
  certificates = $state.raw<string[]>([]);
  live: Live;
  #hearers = new Set<Hearer>();
  #mapWanted = false;
  #count = new Soon(async () => (this.queues = await api.get('/v1/desk/queues')), ...COUNT_MS);
  #map = new Soon(() => this.#readMap(), ...MAP_MS);
  #draw = new Soon(async () => (this.columns = this.columns && { ...this.columns }), ...DRAW_MS);
  #places = new Map<string, number>();
  #minute: ReturnType<typeof setInterval>;

  constructor() {
    this.live = new Live({ heard: (heard) => this.#heard(heard), reload: () => this.reload() });
    this.#minute = setInterval(() => void this.count(), NUMBERS_MS);
  }

  close(): void {
    this.live.close();
    clearInterval(this.#minute);
    for (const one of [this.#count, this.#map, this.#draw]) one.stop();
  }

  reload(): void {
    void this.#count.now();
    void this.count();
    if (this.#mapWanted) void this.#map.now();
    for (const hearer of this.#hearers) hearer('', { event: 'reload', data: {} });
  }

  /** Hear of every fact; returns how to stop. An empty id: anything may have happened. */
  hear(hearer: Hearer): () => void {
    this.#hearers.add(hearer);
    return () => this.#hearers.delete(hearer);
  }

  /** The numbers of the day are dear: once a minute, and when another market is chosen. */
  async count(market = this.market): Promise<void> {
    this.market = market;
    try {
      const query = market ? { market } : {};
      const numbers = await api.get('/v1/desk/numbers', { query });
      if (market === this.market) this.numbers = numbers;
    } catch {
      // The former numbers stay; the next minute asks again.
    }
  }

  wantMap(): void {
    if (this.#mapWanted) return;
    this.#mapWanted = true;
    void this.#map.now();
  }

  mapAgain = (): void => void this.#map.now();

  /** Names of packages and codes of certificates, in the language of the reader. */
  async learn(): Promise<void> {
    const asked = language();
    const pages = await Promise.all(
      MARKETS.map((market) => api.get('/v1/packages', { query: { market, language: asked } })),
    );
    const all = pages.flatMap((page) => page.items);
    this.packages = Object.fromEntries(all.map((one) => [one.code, one.name]));
    this.certificates = [...new Set(all.flatMap((one) => one.certificates))].sort();
  }

  async #readMap(): Promise<void> {
    try {
      this.columns = await api.get('/v1/desk/map');
      this.#places = new Map(this.columns.bookings.id.map((id, at) => [id, at]));
      this.mapError = undefined;
    } catch (error) {
      if (!this.columns) this.mapError = error;
    }
  }

  #heard(heard: Heard): void {
    const id = String(heard.data.booking_id ?? '');
    this.#count.ask();
    const state = MOVES[heard.event];
    if (state) this.#move(id, state);
    for (const hearer of this.#hearers) hearer(id, heard);
  }

  #move(id: string, state: BookingState): void {
    if (!this.columns) return;
    const at = this.#places.get(id);
    if (at === undefined) {
      this.#map.ask();
      return;
    }
    this.columns.bookings.state[at] = state;
    this.#draw.ask();
  }
}
