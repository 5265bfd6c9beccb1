// The friend's service worker: one classic script, built after the pages because it lists their files.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vite';

const folder = process.env.PAGES ?? 'dist';
const assets = readdirSync(join(folder, 'assets')).filter((name) => /\.(?:js|css)$/.test(name));
const named = (text: string) => assets.filter((name) => text.includes(name));

/** The assets of the friend's page and all their imports, lazily loaded parts included. */
function files(): string[] {
  const found = new Set<string>();
  const waiting = named(readFileSync(join(folder, 'friend.html'), 'utf8'));
  for (let name = waiting.pop(); name; name = waiting.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    waiting.push(...named(readFileSync(join(folder, 'assets', name), 'utf8')));
  }
  return [...found].filter((name) => !/maplibre|basemap|canvas|virtual_land/.test(name)).sort();
}

export default defineConfig({
  // In worker.ts: `declare const __FILES__: string[]`.
  define: { __FILES__: JSON.stringify(files().map((name) => `/assets/${name}`)) },
  build: {
    target: 'es2022',
    emptyOutDir: false,
    copyPublicDir: false,
    rollupOptions: {
      input: 'src/friend/worker.ts',
      output: { format: 'iife', entryFileNames: 'friend-worker.js' },
    },
  },
});
