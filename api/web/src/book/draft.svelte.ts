// The customer's answers so far, stored in this tab: neither a reload nor a step back loses them.
import { api, Refused, type Once, type Schema } from '../shared/api';
import { language, type Language } from '../shared/i18n.svelte';
import type { Place } from '../shared/map/layers';
import { HOME, markets, type Market } from '../shared/markets.svelte';
import type { Challenge } from './work';

export type Wish = 'soon' | 'morning' | 'afternoon' | 'evening' | 'weekend';
export type Quote = Schema<'QuoteResponse'>;
export interface Centre extends Place {
  radius_m: number;
}

export const WISHES: readonly Wish[] = ['soon', 'morning', 'afternoon', 'evening', 'weekend'];

const STORAGE_KEY = 'tekkie.draft';

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
  /** The earlier booking whose friend is asked first, with its link where nobody is signed in. */
  askFirst: null as { id: string; name: string; token?: string } | null,
  /** All steps have been completed once: each change leads back to the last step. */
  checked: false,
  /** Sent, without a response yet: nothing may change until there is one. */
  sent: false,
};
export type Draft = typeof EMPTY;

export const draft = $state<Draft>({ ...EMPTY, ...stored() });

export function store(): void {
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(draft));
  } catch {
    // Without storage the draft lasts as long as the page.
  }
}

export function clear(): void {
  Object.assign(draft, structuredClone({ ...EMPTY, country: draft.country }));
  store();
}

function stored(): Partial<Draft> {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? '{}') as Partial<Draft>;
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

/** Whether the quote is for the current package and address. */
export function quoted(): boolean {
  return draft.quote !== null && draft.quotedFor === quoteKey();
}

function quoteKey(): string {
  return JSON.stringify([draft.package, address()]);
}

export async function requestQuote(): Promise<Quote> {
  const quotedFor = quoteKey();
  const body = { package: draft.package, address: address() };
  const quote = await api.post('/v1/quotes', { body });
  draft.quote = quote;
  draft.quotedFor = quotedFor;
  return quote;
}

type Order = Schema<'BookingRequest'>;

/** Whether this browser can solve a proof of work; over plain http it cannot. */
export function maySolve(): boolean {
  return Boolean(globalThis.crypto.subtle);
}

/** Send a booking, with a proof of work where the API asks for one. */
async function send(body: Order, once: Once): Promise<Schema<'BookingCreatedResponse'>> {
  const token = draft.askFirst?.token ? { token: draft.askFirst.token } : {};
  try {
    return await api.post('/v1/bookings', { body, once, ...token });
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== 'proof-required' || !maySolve()) throw error;
    const { solve } = await import('./work');
    const proof = await solve(error.more.challenge as Challenge);
    return await api.post('/v1/bookings', { body, once, proof, ...token });
  }
}

/** Create the booking; returns the path of the customer's page. */
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
    ...(draft.askFirst ? { ask_first: draft.askFirst.id } : {}),
  };
  const made = await send(body, once);
  return new URL(made.customer_link ?? location.href).pathname;
}
