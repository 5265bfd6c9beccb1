// Names and descriptions of packages in the language of the page.
import type { Schema } from '../shared/api';
import { language } from '../shared/i18n.svelte';
import { readCatalogue, type Market } from '../shared/markets.svelte';
import { mine } from './mine.svelte';

class Catalogue {
  #all = $state<Record<string, Record<string, Schema<'Package'>>>>({});
  #asked = new Set<string>();

  about(code: string, market: Market | undefined): Schema<'Package'> | undefined {
    if (!market) return undefined;
    const name = `${market} ${language()}`;
    if (!this.#asked.has(name)) void this.#read(name, market);
    return this.#all[name]?.[code];
  }

  /** In the language of the page; the API names it in the friend's own. */
  name({ code, name }: Schema<'PackageName'>): string {
    return this.about(code, mine.profile?.market)?.name ?? name;
  }

  async #read(name: string, market: Market): Promise<void> {
    this.#asked.add(name);
    try {
      const items = await readCatalogue(market);
      this.#all[name] = Object.fromEntries(items.map((one) => [one.code, one]));
    } catch {
      this.#asked.delete(name);
    }
  }
}

export const catalogue = new Catalogue();
