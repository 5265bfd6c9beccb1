// Only the texts of the current language are loaded, and what is displayed follows it.
import type { Schema } from './api';
import { clock } from './clock.svelte';
import { zone, zoneName } from './zone.svelte';

export type Language = Schema<'Language'>;
/** The languages with texts; `tests/web/test_texts.py` compares them with the API's. */
export const LANGUAGES = Object.keys(import.meta.glob('./texts/*.json')).map((path) =>
  path.slice('./texts/'.length, -'.json'.length),
) as Language[];
/** Every language by its own name. */
export const NAMES = Object.fromEntries(LANGUAGES.map((code) => [code, ownName(code)])) as Record<
  Language,
  string
>;

type Forms = Partial<Record<Intl.LDMLPluralRule, string>>;
type Catalogue = Record<string, string | Forms>;
type Loaders = Record<string, () => Promise<unknown>>;
export type Values = Record<string, string | number>;

const STORAGE_KEY = 'tekkie.language';
const current = $state<{ language: Language; locale: string }>({ language: 'en', locale: 'en' });
const loaded: Texts<string>[] = [];

/**
 * The texts of one face: `say('key', { name })`; with `count` the plural form follows it. A key or a
 * value that is missing is an error on the console, which fails every browser test.
 */
export class Texts<Key extends string> {
  #loaders: Loaders;
  #catalogue = $state.raw<Catalogue>({});

  constructor(loaders: Loaders) {
    this.#loaders = loaders;
    loaded.push(this as unknown as Texts<string>);
  }

  say = (key: Key, values: Values = {}): string => {
    const found = this.#catalogue[key];
    const text = typeof found === 'object' ? this.#form(found, values) : found;
    if (text === undefined) return missing(key, 'text');
    return text.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = values[name];
      if (value === undefined) return missing(key, `value {${name}}`);
      return typeof value === 'number' ? number(value) : value;
    });
  };

  /** Whether there is such a text: for keys that follow from data. */
  has = (key: string): key is Key => key in this.#catalogue;

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

function missing(key: string, what: string): string {
  console.error(`no ${what} for ${key} in ${current.language}`);
  return key;
}

/** The numbers and words of an event's data, for texts that name its fields. */
export function plainValues(data: Record<string, unknown>): Values {
  const plain = ([, value]: [string, unknown]) =>
    typeof value === 'string' || typeof value === 'number';
  return Object.fromEntries(Object.entries(data).filter(plain)) as Values;
}

type SharedKey = keyof typeof import('./texts/en.json');
export const shared = new Texts<SharedKey>(import.meta.glob('./texts/*.json'));

function ownName(code: Language): string {
  const name = new Intl.DisplayNames([code], { type: 'language' }).of(code) ?? code;
  return name.charAt(0).toLocaleUpperCase(code) + name.slice(1);
}

/** The language the pages are in. */
export function language(): Language {
  return current.language;
}

/** Load the texts of a language and display the page in it. */
export async function setLanguage(chosen: Language): Promise<void> {
  const ready = await Promise.all(loaded.map((texts) => texts.load(chosen)));
  ready.forEach((apply) => apply());
  current.language = chosen;
  current.locale = localeOf(chosen);
  document.documentElement.lang = chosen;
}

/** Set the language and store it for the next visit. */
export async function chooseLanguage(chosen: Language): Promise<void> {
  await setLanguage(chosen);
  try {
    localStorage.setItem(STORAGE_KEY, chosen);
  } catch {
    // Private windows may refuse storage: the choice then holds for this page only.
  }
}

/** The language of `?lang=`, of the last choice, or of the browser. */
export function preferredLanguage(): Language {
  const requested = new URLSearchParams(location.search).get('lang');
  const candidates = [requested, storedLanguage(), ...navigator.languages];
  for (const candidate of candidates) {
    const code = candidate?.slice(0, 2).toLowerCase();
    if (LANGUAGES.includes(code as Language)) return code as Language;
  }
  return 'en';
}

function storedLanguage(): string | null {
  try {
    return localStorage.getItem(STORAGE_KEY);
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

/** The language of a code, as German. */
export function languageName(code: Language): string {
  return new Intl.DisplayNames([current.locale], { type: 'language' }).of(code) ?? code;
}

/** CHF 69.00, by the minor units the API counts in. */
export function money({ amount, currency }: { amount: number; currency: string }): string {
  const format = new Intl.NumberFormat(current.locale, { style: 'currency', currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(amount / 10 ** digits);
}

type Moment = string | number | Date;
type Format = Intl.DateTimeFormatOptions;

/**
 * A moment by the clocks of the place, or of `timeZone`; a time of day is followed by the name of
 * the zone where the device's clock shows another.
 */
export function time(
  at: Moment,
  options: Format = { dateStyle: 'medium', timeStyle: 'short' },
): string {
  const named = 'hour' in options || 'timeStyle' in options;
  const name = named && zoneName(new Date(at), current.locale, options.timeZone);
  return name ? `${plainTime(at, options)} ${name}` : plainTime(at, options);
}

/** A moment by the clocks of the place, for texts that name the zone elsewhere. */
export function plainTime(at: Moment, options: Format): string {
  const chosen = { ...options, timeZone: options.timeZone ?? zone() };
  return new Intl.DateTimeFormat(current.locale, chosen).format(new Date(at));
}

/** The name of the zone at a moment, in brackets, where the device's clock shows another time. */
export function zoneNote(at: Moment): string {
  const name = zoneName(new Date(at), current.locale);
  return name && ` (${name})`;
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
