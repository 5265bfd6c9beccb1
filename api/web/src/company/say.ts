import { Texts } from '../shared/i18n.svelte';

type Key = keyof typeof import('./texts/en.json');

export const { say } = new Texts<Key>(import.meta.glob('./texts/*.json'));
