import { begin } from '../shared/begin';
import App from './App.svelte';

void begin(App);
// Only from here on there is an alarm and an offline page; without it everything else still works.
void navigator.serviceWorker
  ?.register('/friend-worker.js', { scope: '/friend' })
  .catch(() => undefined);
