// The API's codes and moments in the reader's language.
import { clock } from '../shared/clock.svelte';
import { time } from '../shared/i18n.svelte';
import { factsOf } from '../shared/markets.svelte';
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

/** The kinds of codes with labels: `kind.code` is a text for every code (tests/web/test_texts.py). */
export type LabelKind =
  | 'audience'
  | 'award'
  | 'by'
  | 'certificate'
  | 'channel'
  | 'outcome'
  | 'precision'
  | 'reason'
  | 'template'
  | 'wish';

/** The label of a code, empty without a code. */
export function label(kind: LabelKind, code: string | null | undefined): string {
  return code ? say(`${kind}.${code}` as Key) : '';
}

/** A moment in the reader's time zone, and in the market's where that differs. */
export function when(at: string, market: Market): string {
  const here = time(at, { dateStyle: 'medium', timeStyle: 'short' });
  const clock: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'short' };
  const timeZone = factsOf(market)?.timezone;
  const there = time(at, { ...clock, timeZone });
  if (there === here) return here;
  return say('time.there', {
    here,
    there: time(at, { timeStyle: 'short', timeZone }),
    market,
  });
}

/** The time of today; of another day with its date. */
export function shortTime(at: string): string {
  const today = new Date(clock.read()).toDateString() === new Date(at).toDateString();
  const day: Intl.DateTimeFormatOptions = today ? {} : { day: 'numeric', month: 'short' };
  return time(at, { ...day, hour: '2-digit', minute: '2-digit' });
}
