// The keyboard: single letters act only outside of fields, and can be switched off.
const STORAGE_KEY = 'tekkie.desk.keys';
const LEADER_MS = 1500;

export type Action = () => void;

class Keys {
  on = $state(read());
  #layers: Record<string, Action>[] = [];
  #leader = -Infinity;

  /** Bind keys until the returned function is called; the latest binding of a key wins. */
  bind(actions: Record<string, Action>): () => void {
    this.#layers.push(actions);
    return () => {
      this.#layers = this.#layers.filter((layer) => layer !== actions);
    };
  }

  toggle(on: boolean): void {
    this.on = on;
    try {
      localStorage.setItem(STORAGE_KEY, on ? 'on' : 'off');
    } catch {
      // Without storage it holds for this page only.
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
    // A focused button handles Enter itself.
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
    return localStorage.getItem(STORAGE_KEY) !== 'off';
  } catch {
    return true;
  }
}

export const keys = new Keys();
