// Starts a face: loads its texts, then mounts it, so that no text appears in the wrong language.
import { type Component, mount } from 'svelte';
import './tokens.css';
import { preferredLanguage, setLanguage } from './i18n.svelte';

export async function begin(face: Component): Promise<void> {
  const target = document.getElementById('app');
  if (!target) throw new Error('the page has no #app');
  await setLanguage(preferredLanguage());
  mount(face, { target });
}
