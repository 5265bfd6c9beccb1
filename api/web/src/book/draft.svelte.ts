// What she has said so far: kept in this tab, so that neither a reload nor a step back loses it.
import { api, type Once, type Schema } from '../shared/api';
import { language, type Language } from '../shared/i18n.svelte';
import type { Place } from '../shared/map/layers';
import { HOME, markets, type Market } from '../shared/markets.svelte';

export type Wish = 'soon' | 'morning' | 'afternoon' | 'evening' | 'weekend';
export type Quote = Schema<'QuoteResponse'>;
export interface Centre extends Place {
  radius_m: number;
}

export const WISHES: readonly Wish[] = ['soon', 'morning', 'afternoon', 'evening', 'weekend'];

const KEPT = 'tekkie.draft';

const EMPTY = {
  country: '' as Market | '',
  package: '',
  street: '',
  postcode: '',
  city: '',
  centre: null as Centre | null,
  pin: null as Place | null,
  wishes: [] as Wish[],
  notes: '',
  name: '',
  email: '',
  phone: '',
  spoken: '' as Language | '',
  quote: null as Quote | null,
  quotedFor: '',
  /** She has seen everything once: whatever she changes leads back to the last step. */
  checked: false,
  /** Sent, and nobody has answered yet: nothing may change until somebody does. */
  sent: false,
};
export type Draft = typeof EMPTY;

export const draft = $state<Draft>({ ...EMPTY, ...kept() });

export function keep(): void {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(draft));
  } catch {
    // Where nothing can be kept, the page itself still remembers.
  }
}

export function forget(): void {
  Object.assign(draft, structuredClone({ ...EMPTY, country: draft.country }));
  keep();
}

function kept(): Partial<Draft> {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? '{}') as Partial<Draft>;
  } catch {
    return {};
  }
}

export function country(): Market {
  return draft.country || HOME;
}

/** The country of `?country=`, or the one the browser is set to, if it is served. */
export function settleCountry(): void {
  if (draft.country) return;
  const asked = new URLSearchParams(location.search).get('country')?.toUpperCase();
  const tags = navigator.languages.map((tag) => tag.split('-'));
  const served = (code: string | undefined) => markets().find((market) => market.code === code);
  const found =
    served(asked) ??
    tags.map(([, region]) => served(region?.toUpperCase())).find(Boolean) ??
    markets().find(({ languages }) => languages[0] === tags[0]?.[0]);
  draft.country = found?.code ?? HOME;
}

export function spoken(): Language {
  return draft.spoken || language();
}

function address() {
  const { street, postcode, city, pin } = draft;
  const point = pin ? { lat: pin.lat, lon: pin.lon } : {};
  const town = { postcode: postcode.trim(), city: city.trim(), country: country() };
  return { street: street.trim(), ...town, ...point };
}

/** Whether the price that is known is for this package and this place. */
export function quoted(): boolean {
  return draft.quote !== null && draft.quotedFor === wanted();
}

function wanted(): string {
  return JSON.stringify([draft.package, address()]);
}

export async function askQuote(): Promise<Quote> {
  const quotedFor = wanted();
  const body = { package: draft.package, address: address() };
  const quote = await api.post('/v1/quotes', { body });
  draft.quote = quote;
  draft.quotedFor = quotedFor;
  return quote;
}

/** Book it; returns the path of her own page. */
export async function book(once: Once): Promise<string> {
  const { name, email, phone, notes, wishes, quote } = draft;
  const customer = { name: name.trim(), email: email.trim(), phone: phone.trim() };
  const body = {
    package: draft.package,
    customer: { ...customer, language: spoken() },
    address: address(),
    wishes: [...wishes],
    ...(notes.trim() ? { notes: notes.trim() } : {}),
    ...(quote ? { quote_id: quote.id } : {}),
  };
  const made = await api.post('/v1/bookings', { body, once });
  return new URL(made.customer_link).pathname;
}
