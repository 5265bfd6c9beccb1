// The basemap of every map of the pages, by MapLibre. Only a page with a map loads this module.
import { Map as Canvas, NavigationControl, setWorkerUrl, type MapOptions } from 'maplibre-gl';
import 'maplibre-gl/dist/maplibre-gl.css';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import './basemap.css';
import { ATTRIBUTION, builtInStyle, styleUrl } from './style';

setWorkerUrl(workerUrl);

export interface Labels {
  label: string;
  nearer: string;
  farther: string;
}
export interface BasemapOptions {
  container: HTMLElement;
  labels: Labels;
  /** The first view. */
  view: Partial<MapOptions>;
  /** Adds the layers above: at first, and whenever the colour scheme changes. */
  onstyle: (dark: boolean) => void;
  /** The style could not be loaded, as without a network. */
  onerror: () => void;
}

export function createBasemap(options: BasemapOptions): { map: Canvas; close: () => void } {
  const { container, labels, view, onstyle, onerror } = options;
  const night = matchMedia('(prefers-color-scheme: dark)');
  const closed = new AbortController();
  const { signal } = closed;
  const map = new Canvas({
    container,
    attributionControl: styleUrl() ? {} : { compact: false, customAttribution: ATTRIBUTION },
    dragRotate: false,
    pitchWithRotate: false,
    locale: {
      'Map.Title': labels.label,
      'NavigationControl.ZoomIn': labels.nearer,
      'NavigationControl.ZoomOut': labels.farther,
    },
    ...view,
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }));

  async function loadStyle(): Promise<void> {
    const dark = night.matches;
    const style = styleUrl() ?? (await builtInStyle(dark));
    if (signal.aborted) return;
    map.once('style.load', () => onstyle(dark));
    map.setStyle(style, { diff: false });
  }
  const reload = () => void loadStyle().catch(() => signal.aborted || onerror());
  night.addEventListener('change', reload, { signal });
  reload();

  function close(): void {
    closed.abort();
    map.remove();
  }
  return { map, close };
}
