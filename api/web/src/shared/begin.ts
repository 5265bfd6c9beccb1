// How every face begins: its texts first, so that nothing is shown in the wrong language.
import { type Component, mount } from 'svelte';
import './tokens.css';
import { preferred, speak } from './i18n.svelte';

export async function begin(face: Component): Promise<void> {
  const target = document.getElementById('app');
  if (!target) throw new Error('the page has no #app');
  await speak(preferred());
  mount(face, { target });
}
