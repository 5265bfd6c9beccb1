// Short messages at the lower edge: `toast('Saved')`.
export interface Toast {
  id: number;
  text: string;
  kind: 'good' | 'bad';
}

const DISPLAY_MS = 6000;
let last = 0;

export const toasts = $state<Toast[]>([]);

export function toast(text: string, kind: Toast['kind'] = 'good'): void {
  const id = ++last;
  toasts.push({ id, text, kind });
  setTimeout(() => {
    const place = toasts.findIndex((one) => one.id === id);
    if (place >= 0) toasts.splice(place, 1);
  }, DISPLAY_MS);
}
