// Five languages: texts are loaded for the chosen one alone, and whatever is shown follows it.
import { clock } from './clock.svelte';

export const LANGUAGES = ['de', 'en', 'fr', 'it', 'pl'] as const;
export type Language = (typeof LANGUAGES)[number];
export const NAMES: Record<Language, string> = {
  de: 'Deutsch',
  en: 'English',
  fr: 'Français',
  it: 'Italiano',
  pl: 'Polski',
};

type Forms = Partial<Record<Intl.LDMLPluralRule, string>>;
type Catalogue = Record<string, string | Forms>;
type Loaders = Record<string, () => Promise<unknown>>;
export type Values = Record<string, string | number>;

const KEPT = 'tekkie.language';
const current = $state<{ language: Language; locale: string }>({ language: 'en', locale: 'en' });
const books: Texts<string>[] = [];

/** The texts of one face: `say('key', { name })`; with `count` the plural form follows it. */
export class Texts<Key extends string> {
  #loaders: Loaders;
  #catalogue = $state.raw<Catalogue>({});

  constructor(loaders: Loaders) {
    this.#loaders = loaders;
    books.push(this as unknown as Texts<string>);
  }

  say = (key: Key, values: Values = {}): string => {
    const found = this.#catalogue[key];
    const text = typeof found === 'object' ? this.#form(found, values) : found;
    return (text ?? key).replace(/\{(\w+)\}/g, (_, name: string) => shown(values[name]));
  };

  async load(language: Language): Promise<() => void> {
    const loader = this.#loaders[`./texts/${language}.json`];
    if (!loader) throw new Error(`no texts for ${language}`);
    const { default: catalogue } = (await loader()) as { default: Catalogue };
    return () => {
      this.#catalogue = catalogue;
    };
  }

  #form(forms: Forms, values: Values): string | undefined {
    const rule = new Intl.PluralRules(current.language).select(Number(values.count ?? 0));
    return forms[rule] ?? forms.other;
  }
}

function shown(value: string | number | undefined): string {
  return typeof value === 'number' ? number(value) : (value ?? '');
}

type SharedKey = keyof typeof import('./texts/en.json');
export const shared = new Texts<SharedKey>(import.meta.glob('./texts/*.json'));

/** The language the pages are in. */
export function language(): Language {
  return current.language;
}

/** Speak another language from now on, and after the next visit. */
export async function speak(chosen: Language): Promise<void> {
  const ready = await Promise.all(books.map((book) => book.load(chosen)));
  ready.forEach((show) => show());
  current.language = chosen;
  current.locale = localeOf(chosen);
  document.documentElement.lang = chosen;
}

export async function choose(chosen: Language): Promise<void> {
  await speak(chosen);
  try {
    localStorage.setItem(KEPT, chosen);
  } catch {
    // Private windows may keep nothing; the choice then ends with the page.
  }
}

/** The language of `?lang=`, of the last choice, or of the browser. */
export function preferred(): Language {
  const asked = new URLSearchParams(location.search).get('lang');
  const wishes = [asked, kept(), ...navigator.languages];
  for (const wish of wishes) {
    const code = wish?.slice(0, 2).toLowerCase();
    if (LANGUAGES.includes(code as Language)) return code as Language;
  }
  return 'en';
}

function kept(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

/** The browser's own variant of the language, as de-CH, for numbers and dates. */
function localeOf(chosen: Language): string {
  return navigator.languages.find((tag) => tag.toLowerCase().startsWith(chosen)) ?? chosen;
}

export function number(value: number, options: Intl.NumberFormatOptions = {}): string {
  return new Intl.NumberFormat(current.locale, options).format(value);
}

/** The country of a code, as Switzerland. */
export function regionName(code: string): string {
  return new Intl.DisplayNames([current.locale], { type: 'region' }).of(code) ?? code;
}

/** CHF 69.00, by the minor units the API counts in. */
export function money({ amount, currency }: { amount: number; currency: string }): string {
  const format = new Intl.NumberFormat(current.locale, { style: 'currency', currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(amount / 10 ** digits);
}

/** A moment in the reader's own zone, unless another is named. */
export function time(
  at: string | number | Date,
  options: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'short' },
): string {
  return new Intl.DateTimeFormat(current.locale, options).format(new Date(at));
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

/** “in 3 hours”, “2 minutes ago”, by the server's clock. */
export function ago(at: string): string {
  const seconds = (Date.parse(at) - clock.now) / 1000;
  const [unit, size] = STEPS.find(([, step]) => Math.abs(seconds) >= step) ?? ['second', 1];
  const format = new Intl.RelativeTimeFormat(current.locale, { numeric: 'auto' });
  return format.format(Math.round(seconds / size), unit);
}

/** 850 m, 2.4 km. */
export function distance(metres: number): string {
  const far = metres >= 1000;
  return number(far ? metres / 1000 : metres, {
    style: 'unit',
    unit: far ? 'kilometer' : 'meter',
    maximumFractionDigits: far && metres < 10_000 ? 1 : 0,
  });
}

/** 45 min, 1 hr 30 min. */
export function minutes(total: number): string {
  const unit = (value: number, name: string) =>
    number(value, { style: 'unit', unit: name, unitDisplay: 'short' });
  const hours = Math.floor(total / 60);
  const rest = total % 60;
  if (!hours) return unit(rest, 'minute');
  return rest ? `${unit(hours, 'hour')} ${unit(rest, 'minute')}` : unit(hours, 'hour');
}
