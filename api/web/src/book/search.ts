// Finds packages by free text; tolerates typing errors, missing accents and other languages.
import type { Schema } from '../shared/api';
import synonyms from './synonyms.json';

type Package = Schema<'Package'>;

const FOUND_MAX = 6;
const PREFIX_MIN = 2;
const INSIDE_MIN = 4;
const TYPO_FROM = 5;
const TWO_TYPOS_FROM = 8;
const KEPT_SHARE = 0.45;
const FAULT_SHARE = 0.3;
const CORE = 2;
const SPECIAL: Record<string, string> = { ß: 'ss', ł: 'l', æ: 'ae', œ: 'oe', ø: 'o' };
// Words too common to carry meaning.
const STOP_WORDS = new Set(
  (
    'ich mein meine meinen meiner mir mich der die das den dem ein eine einen und oder mit zu im in am an auf ist ' +
    'habe hat haben bitte hilfe mehr wie was kann es von fur bei uber nach aus ' +
    'i my the a an and or with to on is it have has please help how what can of for from not does do dont doesnt ' +
    'je mon ma mes le la les un une des et ou avec de du ne pas plus est sur que qui j ai pour ' +
    'il lo gli mio mia miei con non piu che ho per di del e o ' +
    'moj moja moje mi nie jest i lub z ze do na w jak co mam sie prosze'
  ).split(' '),
);

// Words for “not working” say little about the subject: they weigh less.
const FAULT_WORDS = new Set(
  'geht funktioniert kaputt defekt problem lauft work works working broken marche fonctionne panne probleme funziona problema guasto dziala zepsuty'.split(
    ' ',
  ),
);

export function fold(text: string): string {
  return text
    .toLowerCase()
    .replace(/[ßłæœø]/g, (letter) => SPECIAL[letter] ?? letter)
    .normalize('NFD')
    .replace(/\p{M}/gu, '');
}

function words(text: string): string[] {
  return fold(text)
    .replace(/wi-fi/g, 'wifi')
    .replace(/e-mail/g, 'email')
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);
}

interface Entry {
  one: Package;
  weights: Map<string, number>;
}

function entryOf(one: Package): Entry {
  const weights = new Map<string, number>();
  const known = (synonyms as Record<string, string>)[one.code] ?? '';
  const fields: [string, number][] = [
    [one.description, 1],
    [known, 3],
    [one.name, 3.5],
  ];
  for (const [text, weight] of fields) for (const word of words(text)) weights.set(word, weight);
  for (const word of words(known).slice(0, CORE)) weights.set(word, 4);
  return { one, weights };
}

/** The packages that match a query, best match first. */
export function search(packages: readonly Package[], query: string): Package[] {
  const all = words(query);
  const specific = all.filter((word) => !STOP_WORDS.has(word));
  const terms = specific.length ? specific : all;
  const entries = packages.map(entryOf);
  const scores = new Map<Package, number>(packages.map((one) => [one, 0]));
  for (const word of terms) {
    const hits = entries.map(({ one, weights }) => [one, best(word, weights)] as const);
    const rare = Math.log(1 + entries.length / (1 + hits.filter(([, hit]) => hit > 0).length));
    const weight = rare * (FAULT_WORDS.has(word) ? FAULT_SHARE : 1);
    for (const [one, hit] of hits) scores.set(one, (scores.get(one) ?? 0) + hit * weight);
  }
  const ranked = [...scores].sort(([, a], [, b]) => b - a);
  const top = ranked[0]?.[1] ?? 0;
  return ranked
    .filter(([, score]) => score > 0 && score >= top * KEPT_SHARE)
    .slice(0, FOUND_MAX)
    .map(([one]) => one);
}

function best(word: string, weights: ReadonlyMap<string, number>): number {
  let found = 0;
  for (const [known, weight] of weights) {
    const fit = weight > found ? likeness(word, known) : 0;
    found = Math.max(found, fit * weight);
  }
  return found;
}

/** 1 for the same word, less for a prefix, a compound or a typing error, else 0. */
function likeness(word: string, known: string): number {
  if (word === known) return 1;
  if (word.length >= PREFIX_MIN && known.startsWith(word)) return 0.85;
  if (known.length >= INSIDE_MIN && word.includes(known)) return 0.7;
  if (word.length >= INSIDE_MIN && known.includes(word)) return 0.5;
  if (word.length < TYPO_FROM) return 0;
  const most = word.length >= TWO_TYPOS_FROM ? 2 : 1;
  const typed = known.length > word.length ? known.slice(0, word.length) : known;
  if (typos(word, known, most) <= most) return 0.65;
  return typed !== known && typos(word, typed, 1) <= 1 ? 0.45 : 0;
}

/** Edit distance (substitution, insertion, deletion, transposition), at most `most + 1`. */
export function typos(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, place) => place);
  for (let i = 1; i <= a.length; i += 1) {
    const now = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const wrong = a[i - 1] === b[j - 1] ? 0 : 1;
      const at = (list: number[], place: number) => list[place] ?? most + 1;
      let cost = Math.min(at(row, j) + 1, at(now, j - 1) + 1, at(row, j - 1) + wrong);
      const exchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (exchanged) cost = Math.min(cost, at(before, j - 2) + 1);
      now.push(cost);
    }
    before = row;
    row = now;
  }
  return row[b.length] ?? most + 1;
}
