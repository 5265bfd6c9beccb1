// The countries that are served: every answer of the catalogue lists them.
import { api, type Schema } from './api';
import { language } from './i18n.svelte';

export type Market = Schema<'Market'>;
export type MarketFacts = Schema<'MarketInfo'>;

/** Asked for while no country is known; the answer lists all. */
export const HOME: Market = 'CH';

let known = $state.raw<MarketFacts[]>([]);

/** All markets, the home market first; none before the first answer. */
export function markets(): MarketFacts[] {
  return known;
}

export function factsOf(market: Market): MarketFacts | undefined {
  return known.find(({ code }) => code === market);
}

/** The packages of a market, in the language of the page. */
export async function readCatalogue(
  market: Market,
  options: { signal?: AbortSignal } = {},
): Promise<Schema<'Package'>[]> {
  const query = { market, language: language() };
  const answer = await api.get('/v1/packages', { query, ...options });
  known = answer.markets;
  return answer.items;
}

/** +41 44 000 17 39: grouped, easy to read out or to dial by hand. */
export function groupedPhone(number: string | null): string {
  const codes = markets().map((market) => market.calling_code);
  const form = new RegExp(`^(\\+(?:${codes.join('|')}))(\\d{2})(\\d{3})(\\d{2})(\\d{2})$`);
  return number?.replace(form, '$1 $2 $3 $4 $5') ?? '';
}
