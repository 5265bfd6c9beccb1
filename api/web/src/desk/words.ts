// The API's codes and moments in the reader's language.
import { clock } from '../shared/clock.svelte';
import { plainTime, time } from '../shared/i18n.svelte';
import { factsOf, HOME } from '../shared/markets.svelte';
import { say, type Key } from './say';
import type { BookingState, Market } from './types';

export type Tone = 'plain' | 'accent' | 'good' | 'warn' | 'bad';

export const STATES: Record<BookingState, { tone: Tone; icon: string }> = {
  unconfirmed: { tone: 'plain', icon: '✉' },
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
  | 'about'
  | 'application'
  | 'audience'
  | 'award'
  | 'by'
  | 'certificate'
  | 'channel'
  | 'document'
  | 'errand'
  | 'outcome'
  | 'precision'
  | 'reason'
  | 'template'
  | 'wish';

/** The label of a code, empty without a code. */
export function label(kind: LabelKind, code: string | null | undefined): string {
  return code ? say(`${kind}.${code}` as Key) : '';
}

/** A moment by the clocks of a market. */
export function when(at: string, market: Market): string {
  const timeZone = factsOf(market)?.timezone;
  return time(at, { dateStyle: 'medium', timeStyle: 'short', timeZone });
}

/** The time of today; of another day with its date. By the clocks of a market, else of home. */
export function shortTime(at: string, market: Market = HOME): string {
  const timeZone = factsOf(market)?.timezone;
  const date = (of: string | number) => plainTime(of, { dateStyle: 'short', timeZone });
  const today = date(clock.read()) === date(at);
  const day: Intl.DateTimeFormatOptions = today ? {} : { day: 'numeric', month: 'short' };
  return time(at, { ...day, hour: '2-digit', minute: '2-digit', timeZone });
}
