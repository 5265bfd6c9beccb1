import { begin } from '../shared/begin';
import App from './App.svelte';

void begin(App);
// The service worker serves pushes and the offline page; without it everything else works.
void navigator.serviceWorker
  ?.register('/friend-worker.js', { scope: '/friend' })
  .catch(() => undefined);
