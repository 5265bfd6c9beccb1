// PNG icons drawn from public/icon.svg: rectangles, circles, and paths of straight lines.
import { readFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';
import type { Plugin } from 'vite';

type Colour = [number, number, number];
interface Shape {
  fill: Colour;
  has: (x: number, y: number) => boolean;
}

const BOX = 64;
const SAMPLES = 4;
const SAFE = 0.8;
const WHITE: Colour = [255, 255, 255];

export function icons(): Plugin {
  return {
    name: 'icons',
    apply: 'build',
    buildStart() {
      const shapes = read(readFileSync('public/icon.svg', 'utf8'));
      const [background, ...marks] = shapes;
      if (!background) throw new Error('public/icon.svg has no background');
      const whole = [{ ...background, has: () => true }, ...marks.map(shrunk)];
      const mark = marks.map((shape) => ({ ...shape, fill: WHITE }));
      const files: [string, number, Shape[]][] = [
        ['icon-192.png', 192, shapes],
        ['icon-512.png', 512, shapes],
        ['icon-maskable.png', 512, whole],
        ['icon-apple.png', 180, whole],
        ['badge.png', 96, mark],
      ];
      for (const [fileName, size, all] of files) {
        this.emitFile({ type: 'asset', fileName, source: png(size, all) });
      }
    },
  };
}

/** Shrunk to the area that every mask leaves visible. */
function shrunk(shape: Shape): Shape {
  const wide = (value: number) => (value - BOX / 2) / SAFE + BOX / 2;
  return { ...shape, has: (x, y) => shape.has(wide(x), wide(y)) };
}

function read(svg: string): Shape[] {
  return [...svg.matchAll(/<(rect|path|circle) ([^>]*)\/>/g)].map(([, kind, text = '']) => {
    const attributes = Object.fromEntries(
      [...text.matchAll(/([\w-]+)="([^"]*)"/g)].map((m) => [m[1], m[2]]),
    );
    const number = (name: string) => Number(attributes[name] ?? 0);
    const fill = colour(attributes.fill ?? '');
    if (kind === 'circle') {
      const [x0, y0, r] = [number('cx'), number('cy'), number('r')];
      return { fill, has: (x, y) => Math.hypot(x - x0, y - y0) <= r };
    }
    if (kind === 'path') return { fill, has: inside(corners(attributes.d ?? '')) };
    return { fill, has: rounded(number('width'), number('height'), number('rx')) };
  });
}

function colour(text: string): Colour {
  const hex = text.length === 4 ? text.replace(/[^#]/g, '$&$&') : text;
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function rounded(width: number, height: number, r: number): Shape['has'] {
  return (x, y) => {
    const across = Math.max(r - x, x - (width - r), 0);
    const down = Math.max(r - y, y - (height - r), 0);
    return Math.hypot(across, down) <= r && x >= 0 && y >= 0 && x <= width && y <= height;
  };
}

function corners(path: string): [number, number][] {
  const found: [number, number][] = [];
  let [x, y] = [0, 0];
  for (const [, step = '', rest = ''] of path.matchAll(/([MLhvHV])([^MLhvHVz]*)/g)) {
    const [first = 0, second = 0] = rest.match(/-?[\d.]+/g)?.map(Number) ?? [];
    if (step === 'M' || step === 'L') [x, y] = [first, second];
    else if (step === 'h') x += first;
    else if (step === 'H') x = first;
    else if (step === 'v') y += first;
    else y = first;
    found.push([x, y]);
  }
  return found;
}

function inside(polygon: [number, number][]): Shape['has'] {
  return (x, y) => {
    let within = false;
    polygon.forEach(([x1, y1], place) => {
      const [x2, y2] = polygon[(place + 1) % polygon.length] ?? [0, 0];
      if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) within = !within;
    });
    return within;
  };
}

function png(size: number, shapes: Shape[]): Buffer {
  const rows = Buffer.alloc(size * (size * 4 + 1));
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      rows.set(pixel(x, y, size, shapes), y * (size * 4 + 1) + 1 + x * 4);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([8, 6, 0, 0, 0], 8);
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  const data = deflateSync(rows, { level: 9 });
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', data), chunk('IEND')]);
}

/** The mean colour of the samples within a pixel; transparent where no shape is hit. */
function pixel(x: number, y: number, size: number, shapes: Shape[]): number[] {
  const top = (across: number, down: number) => {
    const [px, py] = [((x + across) * BOX) / size, ((y + down) * BOX) / size];
    return shapes.findLast((shape) => shape.has(px, py));
  };
  const first = top(0, 0);
  const even = first === top(1, 1) && first === top(0, 1) && first === top(1, 0);
  const samples = even ? 1 : SAMPLES;
  const hits: Shape[] = [];
  for (let sample = 0; sample < samples ** 2; sample += 1) {
    const part = (number: number) => (number + 0.5) / samples;
    const hit = top(part(sample % samples), part(Math.floor(sample / samples)));
    if (hit) hits.push(hit);
  }
  const mean = (place: 0 | 1 | 2) =>
    Math.round(hits.reduce((sum, { fill }) => sum + fill[place], 0) / (hits.length || 1));
  return [mean(0), mean(1), mean(2), Math.round((hits.length / samples ** 2) * 255)];
}

function chunk(name: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'ascii'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
