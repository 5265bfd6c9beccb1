// The state of the desk: queue counts, numbers of the day, the map, and the stream that updates them.
import { language } from '../shared/i18n.svelte';
import { api } from '../shared/api';
import { Live, type LiveEvent } from '../shared/live.svelte';
import { factsOf, HOME, markets, readCatalogue } from '../shared/markets.svelte';
import { setZone } from '../shared/zone.svelte';
import type { Schema } from '../shared/api';
import { Debounced } from './debounced';
import type { BookingState, Columns, Market, Queues } from './types';

const COUNT_MS = [300, 2000] as const;
const MAP_MS = [400, 8000] as const;
const DRAW_MS = [100, 500] as const;
const NUMBERS_MS = 60_000;

/** The state of a booking after an event. */
const STATE_AFTER: Record<string, BookingState> = {
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

type Listener = (bookingId: string, event: LiveEvent) => void;

export class Desk {
  queues = $state.raw<Queues>();
  numbers = $state.raw<Schema<'NumbersResponse'>>();
  market = $state<Market | null>(null);
  columns = $state.raw<Columns>();
  mapError = $state.raw<unknown>();
  packages = $state.raw<Record<string, string>>({});
  certificates = $state.raw<string[]>([]);
  live: Live;
  #listeners = new Set<Listener>();
  #mapRequired = false;
  #count = new Debounced(async () => (this.queues = await api.get('/v1/desk/queues')), ...COUNT_MS);
  #map = new Debounced(() => this.#readMap(), ...MAP_MS);
  #draw = new Debounced(
    async () => (this.columns = this.columns && { ...this.columns }),
    ...DRAW_MS,
  );
  #places = new Map<string, number>();
  #minute: ReturnType<typeof setInterval>;

  constructor() {
    this.live = new Live({
      onlyVisible: true,
      onevent: (event) => this.#handle(event),
      onreload: () => this.reload(),
    });
    this.#minute = setInterval(() => void this.loadNumbers(), NUMBERS_MS);
  }

  close(): void {
    this.live.close();
    clearInterval(this.#minute);
    for (const one of [this.#count, this.#map, this.#draw]) one.stop();
  }

  reload(): void {
    void this.#count.runNow();
    void this.loadNumbers();
    if (this.#mapRequired) void this.#map.runNow();
    for (const listener of this.#listeners) listener('', { event: 'reload', data: {} });
  }

  /** Call `listener` on every event; returns how to stop. An empty id: read everything again. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The numbers of the day are expensive: once a minute, and when another market is chosen. */
  async loadNumbers(market = this.market): Promise<void> {
    this.market = market;
    try {
      const query = market ? { market } : {};
      const numbers = await api.get('/v1/desk/numbers', { query });
      if (market === this.market) this.numbers = numbers;
    } catch {
      // The former numbers stay; the next minute tries again.
    }
  }

  requireMap(): void {
    if (this.#mapRequired) return;
    this.#mapRequired = true;
    void this.#map.runNow();
  }

  reloadMap = (): void => void this.#map.runNow();

  /** Names of packages and codes of certificates, in the language of the reader. */
  async loadCatalogue(): Promise<void> {
    const first = await readCatalogue(HOME);
    setZone(factsOf(HOME)?.timezone);
    const others = markets().filter(({ code }) => code !== HOME);
    const pages = await Promise.all(others.map(({ code }) => readCatalogue(code)));
    const all = [first, ...pages].flat();
    const query = { language: language() };
    const { items } = await api.get('/v1/desk/packages', { query });
    this.packages = Object.fromEntries(items.map((one) => [one.code, one.name]));
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

  #handle(event: LiveEvent): void {
    const id = String(event.data.booking_id ?? '');
    this.#count.schedule();
    const state = STATE_AFTER[event.event];
    if (state) this.#setState(id, state);
    for (const listener of this.#listeners) listener(id, event);
  }

  #setState(id: string, state: BookingState): void {
    if (!this.columns) return;
    const at = this.#places.get(id);
    if (at === undefined) {
      this.#map.schedule();
      return;
    }
    this.columns.bookings.state[at] = state;
    this.#draw.schedule();
  }
}
