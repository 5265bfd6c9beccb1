// The layers of a map: circles of a radius in metres, points, and clusters of points.
import type { ExpressionSpecification, GeoJSONSource, LayerSpecification, Map } from 'maplibre-gl';
import { paint, type Tone } from './style';

export interface Place {
  lat: number;
  lon: number;
}
export interface Point extends Place {
  id: string;
  tone?: Tone;
}
export interface Circle extends Place {
  radius_m: number;
  /** A square of twice the radius instead. */
  square?: boolean;
  /** A closed ring of longitude and latitude instead. */
  outline?: number[][] | undefined;
  tone?: Tone;
}

interface Area {
  lat?: number | null;
  lon?: number | null;
  radius_m?: number | null;
  outline?: { coordinates: number[][][] } | null;
}

/** The areas of a friend as they are drawn. */
export function shapesOf(areas: readonly Area[]): Circle[] {
  return areas.map(({ lat, lon, radius_m, outline }) => ({
    lat: lat ?? 0,
    lon: lon ?? 0,
    radius_m: radius_m ?? 0,
    outline: outline?.coordinates[0],
    tone: 'accent',
  }));
}

const CORNERS = 64;
const EARTH_M = 6_371_008.8;
const SQUARE = [
  [-1, -1],
  [1, -1],
  [1, 1],
  [-1, 1],
  [-1, -1],
] as const;
const CLUSTER_PX = 48;
const CLUSTER_TO_ZOOM = 13;
const EMPTY: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };

export const SINGLE = 'points';
export const CLUSTER = 'clusters';

export function addLayers(map: Map, dark: boolean, clustered: boolean): void {
  const { halo, ink, tones } = paint(dark);
  const tone = ['match', ['get', 'tone'], ...Object.entries(tones).flat(), tones.accent];
  const colour = tone as unknown as ExpressionSpecification;
  map.addSource('circles', { type: 'geojson', data: EMPTY });
  const many = { cluster: true, clusterRadius: CLUSTER_PX, clusterMaxZoom: CLUSTER_TO_ZOOM };
  map.addSource('points', { type: 'geojson', data: EMPTY, ...(clustered ? many : {}) });
  const layers: LayerSpecification[] = [
    {
      id: 'circle',
      type: 'fill',
      source: 'circles',
      paint: { 'fill-color': colour, 'fill-opacity': 0.14 },
    },
    {
      id: 'circle-edge',
      type: 'line',
      source: 'circles',
      paint: { 'line-color': colour, 'line-width': 1.5 },
    },
    {
      id: CLUSTER,
      type: 'circle',
      source: 'points',
      filter: ['has', 'point_count'],
      paint: {
        'circle-color': tones.accent,
        'circle-opacity': 0.9,
        'circle-radius': ['interpolate', ['linear'], ['get', 'point_count'], 2, 13, 1000, 26],
        'circle-stroke-color': halo,
        'circle-stroke-width': 2,
      },
    },
    {
      id: 'cluster-count',
      type: 'symbol',
      source: 'points',
      filter: ['has', 'point_count'],
      layout: {
        'text-field': ['get', 'point_count_abbreviated'],
        'text-size': 12,
        'text-allow-overlap': true,
      },
      paint: { 'text-color': ink },
    },
    {
      id: SINGLE,
      type: 'circle',
      source: 'points',
      filter: ['!', ['has', 'point_count']],
      paint: {
        'circle-color': colour,
        'circle-radius': 7,
        'circle-stroke-color': halo,
        'circle-stroke-width': 2,
      },
    },
  ];
  layers.forEach((layer) => map.addLayer(layer));
}

export function fill(map: Map, points: readonly Point[], circles: readonly Circle[]): void {
  put(map, 'points', points.map(pointOf));
  put(map, 'circles', circles.map(circleOf));
}

function put(map: Map, name: string, features: GeoJSON.Feature[]): void {
  const source = map.getSource(name) as GeoJSONSource | undefined;
  void source?.setData({ type: 'FeatureCollection', features });
}

function pointOf({ id, lat, lon, tone = 'accent' }: Point): GeoJSON.Feature {
  const geometry = { type: 'Point' as const, coordinates: [lon, lat] };
  return { type: 'Feature', geometry, properties: { id, tone } };
}

function circleOf(circle: Circle): GeoJSON.Feature {
  const { tone = 'accent' } = circle;
  const geometry = { type: 'Polygon' as const, coordinates: [ring(circle)] };
  return { type: 'Feature', geometry, properties: { tone } };
}

/** Accurate to a thousandth at the radii of a town. */
function ring({ lat, lon, radius_m, square, outline }: Circle): number[][] {
  if (outline) return outline;
  const up = (radius_m / EARTH_M) * (180 / Math.PI);
  const across = up / Math.cos((lat * Math.PI) / 180);
  if (square) return SQUARE.map(([x, y]) => [lon + across * x, lat + up * y]);
  return Array.from({ length: CORNERS + 1 }, (_, corner) => {
    const angle = (corner / CORNERS) * 2 * Math.PI;
    return [lon + across * Math.cos(angle), lat + up * Math.sin(angle)];
  });
}

/** The bounds (west, south, east, north) of everything on the map. */
export function frame(
  points: readonly Place[],
  circles: readonly Circle[],
): [number, number, number, number] | undefined {
  const corners = [
    ...points.map(({ lat, lon }) => [lon, lat]),
    ...circles.flatMap((circle) => ring(circle)),
  ];
  if (!corners.length) return undefined;
  const box: [number, number, number, number] = [180, 90, -180, -90];
  for (const [x = 0, y = 0] of corners) {
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return box;
}
