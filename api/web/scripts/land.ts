// Land and borders of Natural Earth around the markets, simplified for the built-in map style.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { feature, mesh } from 'topojson-client';
import type { Plugin } from 'vite';

type Position = number[];
const NAME = 'virtual:land';
const WEST = 2;
const SOUTH = 43.5;
const EAST = 27;
const NORTH = 57;
const inside = ([x = 0, y = 0]: Position) => x >= WEST && x <= EAST && y >= SOUTH && y <= NORTH;
const short = ([x = 0, y = 0]: Position) => [Math.round(x * 1e3) / 1e3, Math.round(y * 1e3) / 1e3];

/** Provides `import('virtual:land')`: the two shapes. */
export function land(): Plugin {
  return {
    name: 'land',
    resolveId: (id) => (id === NAME ? `\0${NAME}` : undefined),
    load: (id) =>
      id === `\0${NAME}` ? `export default JSON.parse(${quoted(shapes())})` : undefined,
  };
}

function quoted(value: unknown): string {
  return JSON.stringify(JSON.stringify(value));
}

function shapes(): object {
  const file = createRequire(import.meta.url).resolve('world-atlas/countries-10m.json');
  const atlas = JSON.parse(readFileSync(file, 'utf8'));
  const land = feature(atlas, atlas.objects.land) as unknown as {
    features: { geometry: { coordinates: Position[][][] } }[];
  };
  const polygons = land.features.flatMap(({ geometry }) => geometry.coordinates);
  const borders = mesh(atlas, atlas.objects.countries, (a, b) => a !== b);
  return {
    land: { type: 'MultiPolygon', coordinates: polygons.map(clipped).filter((one) => one.length) },
    borders: { type: 'MultiLineString', coordinates: borders.coordinates.flatMap(cut) },
  };
}

/** A polygon's rings inside the frame, by the method of Sutherland and Hodgman. */
function clipped(rings: Position[][]): Position[][] {
  return rings
    .map((ring) => EDGES.reduce((left, edge) => clipAt(left, edge), ring).map(short))
    .filter((ring) => ring.length > 3)
    .map((ring) => [...ring, ring[0] as Position]);
}

interface Edge {
  axis: 0 | 1;
  at: number;
  sign: 1 | -1;
}
const EDGES: Edge[] = [
  { axis: 0, at: WEST, sign: 1 },
  { axis: 0, at: EAST, sign: -1 },
  { axis: 1, at: SOUTH, sign: 1 },
  { axis: 1, at: NORTH, sign: -1 },
];

function clipAt(ring: Position[], { axis, at, sign }: Edge): Position[] {
  const within = (point: Position) => ((point[axis] ?? 0) - at) * sign >= 0;
  return ring.flatMap((point, place) => {
    const before = ring.at(place - 1) as Position;
    const crossing = within(point) === within(before) ? [] : [between(before, point, axis, at)];
    return within(point) ? [...crossing, point] : crossing;
  });
}

function between(a: Position, b: Position, axis: 0 | 1, at: number): Position {
  const share = (at - (a[axis] ?? 0)) / ((b[axis] ?? 0) - (a[axis] ?? 0));
  return [0, 1].map((each) => (a[each] ?? 0) + share * ((b[each] ?? 0) - (a[each] ?? 0)));
}

/** The runs of a line that lie inside the frame. */
function cut(line: Position[]): Position[][] {
  const runs: Position[][] = [[]];
  for (const point of line) {
    if (inside(point)) runs.at(-1)?.push(short(point));
    else if (runs.at(-1)?.length) runs.push([]);
  }
  return runs.filter((run) => run.length > 1);
}
