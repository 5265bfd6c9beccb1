// The live map itself: loaded only where it is shown.
import { LngLatBounds } from 'maplibre-gl';
import type { GeoJSONSource, MapMouseEvent } from 'maplibre-gl';
import { ground, type Words } from '../../shared/map/ground';
import type { BookingState, Columns } from '../types';
import type { MapState } from './icons';
import * as sheets from './sheets';

export interface Shown {
  booking: (state: BookingState) => boolean;
  friend: (state: MapState) => boolean;
}

const NEAR_ZOOM = 13;
const FLY_MS = 500;
const REACH_PX = 8;
const EDGE_PX = 40;
const FIT_ZOOM = 12;
const CENTRE: [number, number] = [8.5, 49];
const PICKED = [sheets.BOOKINGS, sheets.BOOKING_CLUSTERS, sheets.FRIENDS, sheets.FRIEND_CLUSTERS];

export class LiveChart {
  #ground: ReturnType<typeof ground>;
  #columns: Columns | undefined;
  #friends: Columns['friends'] | undefined;
  #shown: Shown;
  #chosen: string | null = null;
  #ready = false;
  #fitted = false;
  #still = matchMedia('(prefers-reduced-motion: reduce)').matches;

  constructor(
    readonly container: HTMLElement,
    words: Words,
    shown: Shown,
    readonly picked: (kind: 'booking' | 'friend', id: string) => void,
    failed: () => void,
  ) {
    this.#shown = shown;
    const view = { center: CENTRE, zoom: 4.6, fadeDuration: 0 };
    const lay = (dark: boolean) => {
      sheets.lay(this.#map, dark);
      this.#ready = true;
      this.#friends = undefined;
      this.#fill();
    };
    this.#ground = ground({ container, words, view, lay, failed });
    this.#map.on('click', (event) => void this.#clicked(event));
    this.#map.on('idle', () => this.#tell());
  }

  get #map() {
    return this.#ground.map;
  }

  close(): void {
    this.#ground.close();
  }

  show(columns: Columns, shown: Shown): void {
    this.#columns = columns;
    if (shown !== this.#shown) this.#friends = undefined;
    this.#shown = shown;
    this.#fill();
  }

  choose(id: string | null): void {
    const news = id !== this.#chosen;
    this.#chosen = id;
    if (!this.#ready || !this.#columns) return;
    const at = sheets.whereIs(this.#columns, id);
    sheets.mark(this.#map, at);
    if (!at || !news) return;
    const zoom = Math.max(this.#map.getZoom(), NEAR_ZOOM);
    this.#map.easeTo({ center: [at.lon, at.lat], zoom, duration: this.#still ? 0 : FLY_MS });
  }

  #fill(): void {
    if (!this.#ready || !this.#columns) return;
    const { friends, bookings } = this.#columns;
    // Twenty thousand friends are laid out only when they have changed.
    if (friends !== this.#friends) {
      sheets.put(this.#map, sheets.FRIENDS, friends, this.#shown.friend);
      this.#friends = friends;
    }
    sheets.put(this.#map, sheets.BOOKINGS, bookings, this.#shown.booking);
    if (!this.#fitted) this.#fit();
    const chosen = this.#chosen;
    sheets.mark(this.#map, sheets.whereIs(this.#columns, chosen));
  }

  #fit(): void {
    if (!this.#columns) return;
    const box = new LngLatBounds();
    for (const { lat, lon } of [this.#columns.bookings, this.#columns.friends]) {
      lon.forEach((x, at) => box.extend([x, lat[at] ?? 0]));
    }
    const at = sheets.whereIs(this.#columns, this.#chosen);
    if (at) this.#map.jumpTo({ center: [at.lon, at.lat], zoom: NEAR_ZOOM });
    else if (!box.isEmpty()) {
      this.#map.fitBounds(box, { padding: EDGE_PX, maxZoom: FIT_ZOOM, animate: false });
    }
    this.#fitted ||= !box.isEmpty();
  }

  async #clicked({ point, lngLat }: MapMouseEvent): Promise<void> {
    if (!this.#ready) return;
    const { x, y } = point;
    const [found] = this.#map.queryRenderedFeatures(
      [
        [x - REACH_PX, y - REACH_PX],
        [x + REACH_PX, y + REACH_PX],
      ],
      { layers: PICKED },
    );
    if (!found) return;
    const { id, cluster_id: cluster } = found.properties;
    if (cluster === undefined) {
      this.picked(found.layer.id === sheets.BOOKINGS ? 'booking' : 'friend', String(id));
      return;
    }
    const source = this.#map.getSource(found.source) as GeoJSONSource;
    const zoom = await source.getClusterExpansionZoom(Number(cluster));
    this.#map.easeTo({ center: lngLat, zoom, duration: this.#still ? 0 : FLY_MS });
  }

  /** What is drawn, for whoever cannot see it: numbers on the element. */
  #tell(): void {
    if (!this.#ready) return;
    this.container.dataset.chosen = this.#chosen ?? '';
    for (const layer of PICKED) {
      const found = this.#map.queryRenderedFeatures({ layers: [layer] });
      const name = layer.replace(/-(\w)/, (_, letter: string) => letter.toUpperCase());
      this.container.dataset[name] = String(found.length);
    }
  }
}
