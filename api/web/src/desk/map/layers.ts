// The layers of the live map: clustered friends below, bookings above, the selected one on top.
import type { GeoJSONSource, LayerSpecification, Map } from 'maplibre-gl';
import { paint } from '../../shared/map/style';
import type { BookingState, Columns } from '../types';
import { STATES } from '../words';
import { draw, MAP_STATES, type MapState } from './icons';

export const BOOKINGS = 'bookings';
export const BOOKING_CLUSTERS = 'booking-clusters';
export const FRIENDS = 'friends';
export const FRIEND_CLUSTERS = 'friend-clusters';
const FRIENDS_TO_ZOOM = 13;
const BOOKINGS_TO_ZOOM = 11;
const CLUSTER_PX = 52;
/** The clusters of bookings are offset, so that they do not hide those of friends. */
const OFFSET_PX: [number, number] = [16, -14];
const EMPTY: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };

export function addLayers(map: Map, dark: boolean): void {
  const { halo, ink, tones } = paint(dark);
  const canvas = document.createElement('canvas');
  const names = [
    ...Object.keys(STATES).map((state) => `booking:${state}`),
    ...MAP_STATES.map((state) => `friend:${state}`),
  ];
  for (const name of names) map.addImage(name, draw(canvas, name, dark), { pixelRatio: 2 });
  const clustered = {
    type: 'geojson',
    data: EMPTY,
    cluster: true,
    clusterRadius: CLUSTER_PX,
  } as const;
  map.addSource(FRIENDS, { ...clustered, clusterMaxZoom: FRIENDS_TO_ZOOM });
  map.addSource(BOOKINGS, { ...clustered, clusterMaxZoom: BOOKINGS_TO_ZOOM });
  map.addSource('chosen', { type: 'geojson', data: EMPTY });
  const bubble = (
    id: string,
    source: string,
    colour: string,
    opacity: number,
    aside: [number, number],
  ): LayerSpecification[] => [
    {
      id,
      type: 'circle',
      source,
      filter: ['has', 'point_count'],
      paint: {
        'circle-color': colour,
        'circle-opacity': opacity,
        'circle-radius': [
          'interpolate',
          ['linear'],
          ['get', 'point_count'],
          2,
          12,
          100,
          17,
          5000,
          28,
        ],
        'circle-stroke-color': halo,
        'circle-stroke-width': 2,
        'circle-translate': aside,
      },
    },
    {
      id: `${id}-count`,
      type: 'symbol',
      source,
      filter: ['has', 'point_count'],
      layout: {
        'text-field': ['get', 'point_count_abbreviated'],
        'text-size': 12,
        'text-allow-overlap': true,
      },
      paint: { 'text-color': ink, 'text-translate': aside },
    },
  ];
  const single = (id: string, kind: string): LayerSpecification => ({
    id,
    type: 'symbol',
    source: id,
    filter: ['!', ['has', 'point_count']],
    layout: {
      'icon-image': ['concat', `${kind}:`, ['get', 'state']],
      'icon-allow-overlap': true,
      'icon-ignore-placement': true,
    },
  });
  const layers: LayerSpecification[] = [
    ...bubble(FRIEND_CLUSTERS, FRIENDS, tones.good, 0.75, [0, 0]),
    single(FRIENDS, 'friend'),
    ...bubble(BOOKING_CLUSTERS, BOOKINGS, tones.accent, 1, OFFSET_PX),
    single(BOOKINGS, 'booking'),
    {
      id: 'chosen',
      type: 'circle',
      source: 'chosen',
      paint: {
        'circle-radius': 19,
        'circle-opacity': 0,
        'circle-stroke-color': tones.accent,
        'circle-stroke-width': 3.5,
      },
    },
  ];
  layers.forEach((layer) => map.addLayer(layer));
}

interface Places<State> {
  id: readonly string[];
  lat: readonly number[];
  lon: readonly number[];
  state: readonly State[];
}

/** Fill a source with the visible points of the columns. */
export function setPoints<State extends BookingState | MapState>(
  map: Map,
  name: string,
  columns: Places<State>,
  visible: (state: State) => boolean,
): void {
  const features: GeoJSON.Feature[] = [];
  columns.id.forEach((id, at) => {
    const state = columns.state[at];
    if (state === undefined || !visible(state)) return;
    const coordinates = [columns.lon[at] ?? 0, columns.lat[at] ?? 0];
    features.push({
      type: 'Feature',
      geometry: { type: 'Point', coordinates },
      properties: { id, state },
    });
  });
  setData(map, name, features);
}

export function highlight(map: Map, at: { lat: number; lon: number } | null): void {
  const geometry = at && { type: 'Point' as const, coordinates: [at.lon, at.lat] };
  setData(map, 'chosen', geometry ? [{ type: 'Feature', geometry, properties: {} }] : []);
}

function setData(map: Map, name: string, features: GeoJSON.Feature[]): void {
  const source = map.getSource(name) as GeoJSONSource | undefined;
  void source?.setData({ type: 'FeatureCollection', features });
}

export function locate(columns: Columns, id: string | null): { lat: number; lon: number } | null {
  for (const kind of [columns.bookings, columns.friends]) {
    const at = id ? kind.id.indexOf(id) : -1;
    if (at >= 0) return { lat: kind.lat[at] ?? 0, lon: kind.lon[at] ?? 0 };
  }
  return null;
}
