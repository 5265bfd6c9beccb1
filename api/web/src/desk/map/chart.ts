// The live map; loaded only by the view that displays it.
import { LngLatBounds } from 'maplibre-gl';
import type { GeoJSONSource, MapMouseEvent } from 'maplibre-gl';
import { createBasemap, type Labels } from '../../shared/map/basemap';
import type { BookingState, Columns } from '../types';
import type { MapState } from './icons';
import * as layers from './layers';

export interface Filter {
  booking: (state: BookingState) => boolean;
  friend: (state: MapState) => boolean;
}

const NEAR_ZOOM = 13;
const FLY_MS = 500;
const REACH_PX = 8;
const EDGE_PX = 40;
const FIT_ZOOM = 12;
const CENTRE: [number, number] = [8.5, 49];
const PICKED = [layers.BOOKINGS, layers.BOOKING_CLUSTERS, layers.FRIENDS, layers.FRIEND_CLUSTERS];

export class LiveChart {
  #basemap: ReturnType<typeof createBasemap>;
  #columns: Columns | undefined;
  #friends: Columns['friends'] | undefined;
  #filter: Filter;
  #chosen: string | null = null;
  #ready = false;
  #fitted = false;
  #still = matchMedia('(prefers-reduced-motion: reduce)').matches;

  constructor(
    readonly container: HTMLElement,
    labels: Labels,
    filter: Filter,
    readonly onpick: (kind: 'booking' | 'friend', id: string) => void,
    onerror: () => void,
  ) {
    this.#filter = filter;
    const view = { center: CENTRE, zoom: 4.6, fadeDuration: 0 };
    const onstyle = (dark: boolean) => {
      layers.addLayers(this.#map, dark);
      this.#ready = true;
      this.#friends = undefined;
      this.#fill();
    };
    this.#basemap = createBasemap({ container, labels, view, onstyle, onerror });
    this.#map.on('click', (event) => void this.#clicked(event));
    this.#map.on('idle', () => this.#publishCounts());
  }

  get #map() {
    return this.#basemap.map;
  }

  close(): void {
    this.#basemap.close();
  }

  show(columns: Columns, filter: Filter): void {
    this.#columns = columns;
    if (filter !== this.#filter) this.#friends = undefined;
    this.#filter = filter;
    this.#fill();
  }

  choose(id: string | null): void {
    const changed = id !== this.#chosen;
    this.#chosen = id;
    if (!this.#ready || !this.#columns) return;
    const at = layers.locate(this.#columns, id);
    layers.highlight(this.#map, at);
    if (!at || !changed) return;
    const zoom = Math.max(this.#map.getZoom(), NEAR_ZOOM);
    this.#map.easeTo({ center: [at.lon, at.lat], zoom, duration: this.#still ? 0 : FLY_MS });
  }

  #fill(): void {
    if (!this.#ready || !this.#columns) return;
    const { friends, bookings } = this.#columns;
    // Setting tens of thousands of friends is slow: only when they have changed.
    if (friends !== this.#friends) {
      layers.setPoints(this.#map, layers.FRIENDS, friends, this.#filter.friend);
      this.#friends = friends;
    }
    layers.setPoints(this.#map, layers.BOOKINGS, bookings, this.#filter.booking);
    if (!this.#fitted) this.#fit();
    const chosen = this.#chosen;
    layers.highlight(this.#map, layers.locate(this.#columns, chosen));
  }

  #fit(): void {
    if (!this.#columns) return;
    const box = new LngLatBounds();
    for (const { lat, lon } of [this.#columns.bookings, this.#columns.friends]) {
      lon.forEach((x, at) => box.extend([x, lat[at] ?? 0]));
    }
    const at = layers.locate(this.#columns, this.#chosen);
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
      this.onpick(found.layer.id === layers.BOOKINGS ? 'booking' : 'friend', String(id));
      return;
    }
    const source = this.#map.getSource(found.source) as GeoJSONSource;
    const zoom = await source.getClusterExpansionZoom(Number(cluster));
    this.#map.easeTo({ center: lngLat, zoom, duration: this.#still ? 0 : FLY_MS });
  }

  /** Write how much is drawn to data attributes, for tests and tools. */
  #publishCounts(): void {
    if (!this.#ready) return;
    this.container.dataset.chosen = this.#chosen ?? '';
    for (const layer of PICKED) {
      const found = this.#map.queryRenderedFeatures({ layers: [layer] });
      const name = layer.replace(/-(\w)/, (_, letter: string) => letter.toUpperCase());
      this.container.dataset[name] = String(found.length);
    }
  }
}
