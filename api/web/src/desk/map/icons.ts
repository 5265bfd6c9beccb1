// Marks of the map: shape and colour both carry the state, so that either is enough.
import { paint } from '../../shared/map/style';
import type { BookingState, Columns } from '../types';
import { STATES } from '../words';

export type MapState = Columns['friends']['state'][number];
export const MAP_STATES: readonly MapState[] = ['active', 'busy', 'paused', 'suspended'];
export const SIZE_PX = 26;
const SCALE = 2;

type Shape = 'disc' | 'triangle' | 'square' | 'diamond' | 'ring';

const SHAPES: Partial<Record<BookingState, Shape>> = {
  unfilled: 'triangle',
  incomplete: 'square',
  scheduled: 'diamond',
  under_way: 'diamond',
  open: 'ring',
};
const GLYPHS: Partial<Record<BookingState, string>> = {
  unfilled: '!',
  incomplete: '?',
  awarded: '◷',
  contacted: '☎',
  scheduled: '',
  under_way: '▸',
  completed: '✓',
  cancelled: '×',
};

/** Draw a mark into a canvas; returns its pixels. */
export function draw(
  canvas: HTMLCanvasElement | OffscreenCanvas,
  name: string,
  dark: boolean,
): ImageData {
  canvas.width = canvas.height = SIZE_PX * SCALE;
  const pen = canvas.getContext('2d', {
    willReadFrequently: true,
  }) as CanvasRenderingContext2D | null;
  if (!pen) throw new Error('this browser draws nothing');
  pen.scale(SCALE, SCALE);
  const [kind, state] = name.split(':');
  if (kind === 'booking') booking(pen, state as BookingState, dark);
  else friend(pen, state as MapState, dark);
  return pen.getImageData(0, 0, SIZE_PX * SCALE, SIZE_PX * SCALE);
}

function booking(pen: CanvasRenderingContext2D, state: BookingState, dark: boolean): void {
  const { halo, ink, tones } = paint(dark);
  const colour = tones[STATES[state].tone];
  const shape = SHAPES[state] ?? 'disc';
  const small = state === 'completed' || state === 'cancelled';
  outline(pen, shape, small ? 6.5 : 10);
  pen.lineJoin = 'round';
  pen.lineWidth = 4;
  pen.strokeStyle = halo;
  pen.stroke();
  pen.fillStyle = shape === 'ring' ? halo : colour;
  pen.fill();
  if (shape === 'ring') {
    pen.lineWidth = 3.5;
    pen.strokeStyle = colour;
    pen.stroke();
  }
  pen.fillStyle = ink;
  pen.font = `700 ${small ? 9 : 12}px system-ui, sans-serif`;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.fillText(GLYPHS[state] ?? '', SIZE_PX / 2, SIZE_PX / 2 + (shape === 'triangle' ? 2.5 : 0.5));
}

function friend(pen: CanvasRenderingContext2D, state: MapState, dark: boolean): void {
  const { halo, tones } = paint(dark);
  const colour = {
    active: tones.good,
    busy: tones.warn,
    paused: tones.plain,
    suspended: tones.bad,
  }[state];
  outline(pen, state === 'active' || state === 'busy' ? 'disc' : 'square', 5);
  pen.lineWidth = 3;
  pen.strokeStyle = halo;
  pen.stroke();
  pen.fillStyle = state === 'active' || state === 'suspended' ? colour : halo;
  pen.fill();
  pen.lineWidth = 2.5;
  pen.strokeStyle = colour;
  pen.stroke();
}

function outline(pen: CanvasRenderingContext2D, shape: Shape, radius: number): void {
  const middle = SIZE_PX / 2;
  const corners: Record<string, [number, number][]> = {
    triangle: [
      [0, -1.1],
      [1.1, 0.85],
      [-1.1, 0.85],
    ],
    square: [
      [-0.85, -0.85],
      [0.85, -0.85],
      [0.85, 0.85],
      [-0.85, 0.85],
    ],
    diamond: [
      [0, -1.1],
      [1.1, 0],
      [0, 1.1],
      [-1.1, 0],
    ],
  };
  pen.beginPath();
  const found = corners[shape];
  if (!found) pen.arc(middle, middle, radius * 0.9, 0, 2 * Math.PI);
  else found.forEach(([x, y]) => pen.lineTo(middle + x * radius, middle + y * radius));
  pen.closePath();
}
