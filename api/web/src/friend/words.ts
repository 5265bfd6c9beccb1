// Moments and wishes as text.
import type { Schema } from '../shared/api';
import { clock } from '../shared/clock.svelte';
import { plainTime, time } from '../shared/i18n.svelte';
import { say } from './say';
import { dayOf } from './slots';

export type Wish = Schema<'Wish'>;

export function wishes(all: readonly Wish[]): string {
  if (!all.length) return say('wish.any');
  return all.map((wish) => say(`wish.${wish}`)).join(', ');
}

/** 21:00, or Tue 21:00 on another day. */
export function clockTime(at: string): string {
  const today = dayOf(new Date(at)) === dayOf(new Date(clock.now));
  const hour = { hour: '2-digit', minute: '2-digit' } as const;
  return time(at, today ? hour : { weekday: 'short', ...hour });
}

/** Tuesday, 3 March, 14:00 – 15:00. */
export function appointment({ starts_at, ends_at }: Schema<'Appointment'>): string {
  const hour = { hour: '2-digit', minute: '2-digit' } as const;
  const day = time(starts_at, { weekday: 'long', day: 'numeric', month: 'long' });
  return `${day}, ${plainTime(starts_at, hour)} – ${time(ends_at, hour)}`;
}
