// MapLibre, and all that only a page with a map has to load.
import {
  Map as Canvas,
  Marker,
  NavigationControl,
  setWorkerUrl,
  type GeoJSONSource,
} from 'maplibre-gl';
import 'maplibre-gl/dist/maplibre-gl.css';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import { addLayers, CLUSTER, fill, frame, SINGLE } from './layers';
import type { Circle, Place, Point } from './layers';
import { ATTRIBUTION, calm, styleUrl } from './style';

setWorkerUrl(workerUrl);

export interface Words {
  label: string;
  pin: string;
  nearer: string;
  farther: string;
}
export interface Options {
  clustered: boolean;
  words: Words;
  picked: (id: string) => void;
  moved: (place: Place) => void;
}

const SWITZERLAND: [number, number, number, number] = [5.9, 45.8, 10.5, 47.8];
const NEAREST_ZOOM = 14;
const EDGE_PX = 48;
const STEP = 0.0005;
const ARROWS: Record<string, [number, number]> = {
  ArrowUp: [STEP, 0],
  ArrowDown: [-STEP, 0],
  ArrowLeft: [0, -STEP],
  ArrowRight: [0, STEP],
};

export class Chart {
  #map: Canvas;
  #options: Options;
  #points: readonly Point[] = [];
  #circles: readonly Circle[] = [];
  #pin: Marker | undefined;
  #night = matchMedia('(prefers-color-scheme: dark)');
  #redress = () => void this.#dress();

  constructor(container: HTMLElement, options: Options) {
    this.#options = options;
    const { label, nearer, farther } = options.words;
    this.#map = new Canvas({
      container,
      bounds: SWITZERLAND,
      attributionControl: styleUrl() ? {} : { compact: false, customAttribution: ATTRIBUTION },
      dragRotate: false,
      pitchWithRotate: false,
      fadeDuration: matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 200,
      locale: {
        'Map.Title': label,
        'NavigationControl.ZoomIn': nearer,
        'NavigationControl.ZoomOut': farther,
      },
    });
    this.#map.touchZoomRotate.disableRotation();
    this.#map.addControl(new NavigationControl({ showCompass: false }));
    this.#listen();
    this.#night.addEventListener('change', this.#redress);
    void this.#dress();
  }

  show(points: readonly Point[], circles: readonly Circle[]): void {
    this.#points = points;
    this.#circles = circles;
    fill(this.#map, points, circles);
  }

  /** Bring all there is into sight. */
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
    this.#night.removeEventListener('change', this.#redress);
    this.#map.remove();
  }

  async #dress(): Promise<void> {
    const dark = this.#night.matches;
    const style = styleUrl() ?? (await calm(dark));
    this.#map.once('style.load', () => {
      addLayers(this.#map, dark, this.#options.clustered);
      fill(this.#map, this.#points, this.#circles);
    });
    this.#map.setStyle(style, { diff: false });
  }

  #listen(): void {
    const map = this.#map;
    map.on('click', SINGLE, ({ features }) => {
      const id = features?.[0]?.properties.id;
      if (typeof id === 'string') this.#options.picked(id);
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
    element.setAttribute('aria-label', this.#options.words.pin);
    element.setAttribute('role', movable ? 'button' : 'img');
    if (movable) element.tabIndex = 0;
    else element.removeAttribute('tabindex');
    const tell = () => {
      const { lat, lng } = pin.getLngLat();
      this.#options.moved({ lat, lon: lng });
    };
    pin.on('dragend', tell);
    element.addEventListener('keydown', (event) => {
      const step = ARROWS[event.key];
      if (!movable || !step) return;
      event.preventDefault();
      event.stopPropagation();
      const { lat, lng } = pin.getLngLat();
      pin.setLngLat([lng + step[1], lat + step[0]]);
      tell();
    });
    return pin.setLngLat([place.lon, place.lat]).addTo(this.#map);
  }
}
