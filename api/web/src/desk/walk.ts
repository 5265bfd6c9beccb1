// Moving through a list by keyboard: the focus marks the current row.
export function walk(list: HTMLElement | undefined, step: 1 | -1): void {
  const rows = [...(list?.querySelectorAll<HTMLElement>('[data-row]') ?? [])];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement as HTMLElement);
  const current = at >= 0 ? at : rows.findIndex((row) => row.hasAttribute('aria-current'));
  const next = current < 0 ? (step > 0 ? 0 : rows.length - 1) : current + step;
  rows[Math.max(0, Math.min(rows.length - 1, next))]?.focus();
}

/** The key bindings of a list. */
export function walking(list: () => HTMLElement | undefined): Record<string, () => void> {
  const down = () => walk(list(), 1);
  const up = () => walk(list(), -1);
  return { j: down, ArrowDown: down, k: up, ArrowUp: up };
}
