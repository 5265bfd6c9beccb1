// MapLibre as a calm map: the ground of every map of the pages, and what only a page with a map loads.
import { Map as Canvas, NavigationControl, setWorkerUrl, type MapOptions } from 'maplibre-gl';
import 'maplibre-gl/dist/maplibre-gl.css';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import './ground.css';
import { ATTRIBUTION, calm, styleUrl } from './style';

setWorkerUrl(workerUrl);

export interface Words {
  label: string;
  nearer: string;
  farther: string;
}
export interface Ground {
  container: HTMLElement;
  words: Words;
  /** What it shows first. */
  view: Partial<MapOptions>;
  /** Lays over it what there is to see: at first, and whenever day and night change. */
  lay: (dark: boolean) => void;
  /** Without a network it may not be had. */
  failed: () => void;
}

export function ground(wanted: Ground): { map: Canvas; close: () => void } {
  const { container, words, view, lay, failed } = wanted;
  const night = matchMedia('(prefers-color-scheme: dark)');
  const leave = new AbortController();
  const { signal } = leave;
  const map = new Canvas({
    container,
    attributionControl: styleUrl() ? {} : { compact: false, customAttribution: ATTRIBUTION },
    dragRotate: false,
    pitchWithRotate: false,
    locale: {
      'Map.Title': words.label,
      'NavigationControl.ZoomIn': words.nearer,
      'NavigationControl.ZoomOut': words.farther,
    },
    ...view,
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }));

  async function dress(): Promise<void> {
    const dark = night.matches;
    const style = styleUrl() ?? (await calm(dark));
    if (signal.aborted) return;
    map.once('style.load', () => lay(dark));
    map.setStyle(style, { diff: false });
  }
  const redress = () => void dress().catch(() => signal.aborted || failed());
  night.addEventListener('change', redress, { signal });
  redress();

  function close(): void {
    leave.abort();
    map.remove();
  }
  return { map, close };
}
