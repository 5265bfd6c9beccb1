// What the API says in codes, in the words of the reader.
import { clock } from '../shared/clock.svelte';
import { time } from '../shared/i18n.svelte';
import { say, type Key } from './say';
import type { BookingState, Market } from './types';

export type Tone = 'plain' | 'accent' | 'good' | 'warn' | 'bad';

export const STATES: Record<BookingState, { tone: Tone; icon: string }> = {
  open: { tone: 'accent', icon: '○' },
  awarded: { tone: 'accent', icon: '◐' },
  contacted: { tone: 'accent', icon: '●' },
  scheduled: { tone: 'good', icon: '◆' },
  under_way: { tone: 'good', icon: '▶' },
  completed: { tone: 'good', icon: '✓' },
  unfilled: { tone: 'bad', icon: '▲' },
  incomplete: { tone: 'warn', icon: '■' },
  cancelled: { tone: 'plain', icon: '✕' },
};

const ZONES: Record<Market, string> = {
  CH: 'Europe/Zurich',
  DE: 'Europe/Berlin',
  AT: 'Europe/Vienna',
  PL: 'Europe/Warsaw',
};

/** A word for a code; the code itself where there is none yet. */
export function word(kind: string, code: string | null | undefined): string {
  if (!code) return '';
  const key = `${kind}.${code}` as Key;
  const said = say(key);
  return said === key ? code.replaceAll('_', ' ').toLowerCase() : said;
}

/** A moment in the reader's zone, and in the market's where its clocks show something else. */
export function when(at: string, market: Market): string {
  const here = time(at, { dateStyle: 'medium', timeStyle: 'short' });
  const clock: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'short' };
  const there = time(at, { ...clock, timeZone: ZONES[market] });
  if (there === here) return here;
  return say('time.there', {
    here,
    there: time(at, { timeStyle: 'short', timeZone: ZONES[market] }),
    market,
  });
}

/** The time of today; of another day with its date. */
export function shortTime(at: string): string {
  const today = new Date(clock.read()).toDateString() === new Date(at).toDateString();
  const day: Intl.DateTimeFormatOptions = today ? {} : { day: 'numeric', month: 'short' };
  return time(at, { ...day, hour: '2-digit', minute: '2-digit' });
}
