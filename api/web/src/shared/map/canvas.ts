// A map of points, circles and a pin.
import { Marker, type GeoJSONSource } from 'maplibre-gl';
import { createBasemap, type Labels } from './basemap';
import { addLayers, CLUSTER, fill, frame, SINGLE } from './layers';
import type { Circle, Place, Point } from './layers';

interface Options {
  clustered: boolean;
  labels: Labels & { pin: string };
  onpick: (id: string) => void;
  onmove: (place: Place) => void;
  ontap: (place: Place) => void;
  onerror: () => void;
}

const SWITZERLAND: [number, number, number, number] = [5.9, 45.8, 10.5, 47.8];
const NEAREST_ZOOM = 14;
const EDGE_PX = 48;

export class Chart {
  #basemap: ReturnType<typeof createBasemap>;
  #options: Options;
  #points: readonly Point[] = [];
  #circles: readonly Circle[] = [];
  #pin: Marker | undefined;

  constructor(container: HTMLElement, options: Options) {
    this.#options = options;
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.#basemap = createBasemap({
      container,
      labels: options.labels,
      view: { bounds: SWITZERLAND, fadeDuration: still ? 0 : 200 },
      onstyle: (dark) => {
        addLayers(this.#map, dark, options.clustered);
        fill(this.#map, this.#points, this.#circles);
      },
      onerror: options.onerror,
    });
    this.#listen();
  }

  get #map() {
    return this.#basemap.map;
  }

  show(points: readonly Point[], circles: readonly Circle[]): void {
    this.#points = points;
    this.#circles = circles;
    fill(this.#map, points, circles);
  }

  /** Fit the view to everything on the map. */
  fit(): void {
    const pin = this.#pin?.getLngLat();
    const places = pin ? [...this.#points, { lat: pin.lat, lon: pin.lng }] : this.#points;
    const box = frame(places, this.#circles);
    if (box) this.#map.fitBounds(box, { padding: EDGE_PX, maxZoom: NEAREST_ZOOM, animate: false });
  }

  pin(place: Place | null, movable: boolean): void {
    if (!place) {
      this.#pin?.remove();
      this.#pin = undefined;
      return;
    }
    this.#pin ??= this.#newPin(movable, place);
    this.#pin.setLngLat([place.lon, place.lat]);
  }

  close(): void {
    this.#basemap.close();
  }

  #listen(): void {
    const map = this.#map;
    map.on('click', ({ lngLat: { lat, lng } }) => this.#options.ontap({ lat, lon: lng }));
    map.on('click', SINGLE, ({ features }) => {
      const id = features?.[0]?.properties.id;
      if (typeof id === 'string') this.#options.onpick(id);
    });
    map.on('click', CLUSTER, async ({ features, lngLat }) => {
      const source = map.getSource('points') as GeoJSONSource;
      const zoom = await source.getClusterExpansionZoom(features?.[0]?.properties.cluster_id);
      map.easeTo({ center: lngLat, zoom });
    });
    for (const layer of [SINGLE, CLUSTER]) {
      map.on('mouseenter', layer, () => (map.getCanvas().style.cursor = 'pointer'));
      map.on('mouseleave', layer, () => (map.getCanvas().style.cursor = ''));
    }
  }

  #newPin(movable: boolean, place: Place): Marker {
    const colour = getComputedStyle(document.documentElement).getPropertyValue('--accent');
    const pin = new Marker({ color: colour.trim(), draggable: movable });
    const element = pin.getElement();
    element.setAttribute('aria-label', this.#options.labels.pin);
    element.setAttribute('role', movable ? 'button' : 'img');
    // By dragging or by the arrow keys, which MapLibre handles itself.
    pin.on('dragend', () => {
      const { lat, lng } = pin.getLngLat();
      this.#options.onmove({ lat, lon: lng });
    });
    return pin.setLngLat([place.lon, place.lat]).addTo(this.#map);
  }
}
