// The current screen, derived from the path: reloads, notifications and the back key work.
export type Screen =
  | { name: 'home' | 'alarm' | 'earnings' | 'messages' | 'profile' | 'why' }
  | { name: 'offer' | 'job'; id: string };

const PLAIN = new Set(['alarm', 'earnings', 'messages', 'profile', 'why']);

class Route {
  path = $state(location.pathname);
  readonly screen = $derived(screenOf(this.path));

  begin(): () => void {
    const navigated = () => (this.path = location.pathname);
    const clicked = (event: MouseEvent) => this.#clicked(event);
    const onMessage = (event: MessageEvent<{ kind?: string; path?: string }>) => {
      if (event.data?.kind === 'go' && event.data.path) this.go(event.data.path);
    };
    addEventListener('popstate', navigated);
    document.addEventListener('click', clicked);
    navigator.serviceWorker?.addEventListener('message', onMessage);
    return () => {
      removeEventListener('popstate', navigated);
      document.removeEventListener('click', clicked);
      navigator.serviceWorker?.removeEventListener('message', onMessage);
    };
  }

  go(path: string, how: 'push' | 'replace' = 'push'): void {
    if (path === this.path) return;
    history[how === 'push' ? 'pushState' : 'replaceState'](null, '', path);
    this.path = path;
    scrollTo(0, 0);
  }

  #clicked(event: MouseEvent): void {
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey);
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!plain || event.defaultPrevented || !link || link.target || link.hash) return;
    if (link.origin !== location.origin || !/^\/friend(\/|$)/.test(link.pathname)) return;
    event.preventDefault();
    this.go(link.pathname);
  }
}

function screenOf(path: string): Screen {
  const [, , folder, id] = path.split('/');
  if (folder === 'offers' && id) return { name: 'offer', id };
  if (folder === 'jobs' && id) return { name: 'job', id };
  if (folder && PLAIN.has(folder)) return { name: folder } as Screen;
  return { name: 'home' };
}

export const route = new Route();
