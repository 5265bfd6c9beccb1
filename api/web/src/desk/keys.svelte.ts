// The keyboard: single letters act only while nobody writes, and can be switched off.
const KEPT = 'tekkie.desk.keys';
const LEADER_MS = 1500;

export type Action = () => void;

class Keys {
  on = $state(read());
  #layers: Record<string, Action>[] = [];
  #leader = -Infinity;

  /** Let these keys act until the returned function is called; later ones go before. */
  bind(actions: Record<string, Action>): () => void {
    this.#layers.push(actions);
    return () => {
      this.#layers = this.#layers.filter((layer) => layer !== actions);
    };
  }

  toggle(on: boolean): void {
    this.on = on;
    try {
      localStorage.setItem(KEPT, on ? 'on' : 'off');
    } catch {
      // Then it holds for this page alone.
    }
  }

  pressed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector('dialog[open]')) return;
    const writing = isWriting(event.target);
    if (writing && event.key === 'Escape') (event.target as HTMLElement).blur();
    if (writing || (!this.on && event.key.length === 1)) return;
    const led = event.timeStamp - this.#leader < LEADER_MS;
    this.#leader = !led && event.key === 'g' ? event.timeStamp : -Infinity;
    const name = led ? `g ${event.key}` : event.key;
    const layer = this.#layers.findLast((actions) => name in actions);
    // A button that has the focus keeps its own Enter.
    if (!layer || (name === 'Enter' && isControl(event.target))) return;
    event.preventDefault();
    layer[name]?.();
  };
}

function isWriting(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return ['INPUT', 'SELECT', 'TEXTAREA'].includes(target.tagName);
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && ['A', 'BUTTON', 'SUMMARY'].includes(target.tagName);
}

function read(): boolean {
  try {
    return localStorage.getItem(KEPT) !== 'off';
  } catch {
    return true;
  }
}

export const keys = new Keys();
