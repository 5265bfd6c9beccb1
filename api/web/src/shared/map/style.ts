// The built-in map style: land, water and borders of Natural Earth, in the colours of the pages.
import type { StyleSpecification } from 'maplibre-gl';

export type Tone = 'plain' | 'accent' | 'good' | 'warn' | 'bad';

interface Paint {
  water: string;
  land: string;
  border: string;
  halo: string;
  ink: string;
  tones: Record<Tone, string>;
}

const LIGHT: Paint = {
  water: '#d5e3e4',
  land: '#f5f0e7',
  border: '#b9ad97',
  halo: '#ffffff',
  ink: '#ffffff',
  tones: {
    plain: '#6d726b',
    accent: '#0f5c5c',
    good: '#1f6b3a',
    warn: '#a86400',
    bad: '#a1281f',
  },
};
const DARK: Paint = {
  water: '#0e1b1e',
  land: '#20282a',
  border: '#55605c',
  halo: '#141816',
  ink: '#06292a',
  tones: {
    plain: '#a9afa8',
    accent: '#6fc7bf',
    good: '#8fd3a2',
    warn: '#f0c36d',
    bad: '#f4a59c',
  },
};

export function paint(dark: boolean): Paint {
  return dark ? DARK : LIGHT;
}

export const ATTRIBUTION = 'Natural Earth';

/** The style URL of this installation's settings, if any. */
export function styleUrl(): string | undefined {
  const meta = document.querySelector<HTMLMetaElement>('meta[name="map-style"]');
  return meta?.content || undefined;
}

export async function builtInStyle(dark: boolean): Promise<StyleSpecification> {
  const { default: shapes } = await import('virtual:land');
  const { water, land, border } = paint(dark);
  return {
    version: 8,
    sources: {
      land: { type: 'geojson', data: shapes.land },
      borders: { type: 'geojson', data: shapes.borders },
    },
    layers: [
      { id: 'water', type: 'background', paint: { 'background-color': water } },
      { id: 'land', type: 'fill', source: 'land', paint: { 'fill-color': land } },
      {
        id: 'borders',
        type: 'line',
        source: 'borders',
        paint: { 'line-color': border, 'line-width': 1.2 },
      },
    ],
  };
}
