import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { icons } from './scripts/icons.ts';
import { land } from './scripts/land.ts';

const FACES = [
  'book',
  'job',
  'friend',
  'desk',
  'login',
  'exam',
  'join',
  'account',
  'company',
  'missing',
];

export default defineConfig({
  plugins: [svelte(), land(), icons()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1200,
    rollupOptions: { input: FACES.map((face) => `${face}.html`) },
  },
  worker: { format: 'es' },
  server: { proxy: { '/v1': 'http://127.0.0.1:8000' } },
});
