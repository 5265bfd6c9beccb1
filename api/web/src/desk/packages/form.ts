// What is edited of a package: texts in fields, as an operator types them.
import { LANGUAGES, type Language } from '../../shared/i18n.svelte';
import { markets, type Market } from '../../shared/markets.svelte';
import type { Schema } from '../../shared/api';

export type Version = Schema<'PackageVersion'>;
type Change = Schema<'PackageRequest'>;
export type Tier = Version['tier'];

export interface Form {
  version: number;
  active: boolean;
  category: string;
  tier: Tier;
  minutes: string;
  minAge: string;
  certificates: string[];
  /** An amount in major units, empty where it is not sold. */
  prices: Record<string, string>;
  /** Empty where the market has the tier of all. */
  tiers: Record<string, Tier | ''>;
  texts: Record<string, { name: string; description: string }>;
  begins: string;
}

/** Amounts have two decimals in every currency that is used. */
const MINOR = 100;

export function formOf(from: Version): Form {
  const each = <T>(value: (code: Market) => T) =>
    Object.fromEntries(markets().map(({ code }) => [code, value(code)]));
  return {
    version: from.version,
    active: from.active,
    category: from.category,
    tier: from.tier,
    minutes: `${from.minutes}`,
    minAge: `${from.min_age}`,
    certificates: [...from.certificates],
    prices: each((code) => {
      const price = from.prices[code];
      return price ? `${price.amount / MINOR}` : '';
    }),
    tiers: each((code) => from.tiers[code] ?? ''),
    texts: Object.fromEntries(
      LANGUAGES.map((code) => [code, { ...(from.texts[code] ?? { name: '', description: '' }) }]),
    ),
    begins: '',
  };
}

export const isAmount = (text: string): boolean => /^\d{0,7}([.,]\d{1,2})?$/.test(text.trim());
export const isMinutes = (text: string): boolean => /^\d{1,3}$/.test(text.trim());

/** The request for what was typed; `replaces` goes before a version that is planned. */
export function changeOf(form: Form, replaces: boolean): Change {
  const filled = <T extends string>(record: Record<string, T | ''>) =>
    Object.entries(record).filter(([, value]) => value.trim() !== '');
  const amount = (text: string) => Math.round(Number(text.trim().replace(',', '.')) * MINOR);
  return {
    version: form.version,
    active: form.active,
    category: form.category,
    tier: form.tier,
    minutes: Number(form.minutes),
    min_age: Number(form.minAge) as NonNullable<Change['min_age']>,
    certificates: form.certificates,
    prices: Object.fromEntries(filled(form.prices).map(([code, text]) => [code, amount(text)])),
    tiers: Object.fromEntries(filled(form.tiers)) as Change['tiers'] & object,
    texts: form.texts as Record<Language, { name: string; description: string }>,
    valid_from: form.begins ? new Date(form.begins).toISOString() : null,
    replaces_planned: replaces,
  };
}
