// Suggested times for an appointment: the next few that match the customer's wishes.
import { dayAfter, momentOf, wallTime } from '../shared/zone.svelte';
import type { Wish } from './words';

const HOURS: Record<Wish, number[]> = {
  soon: [10, 14, 18],
  morning: [9],
  afternoon: [14],
  evening: [18],
  weekend: [10, 14],
};
const DAYS = 10;
const SUGGESTED = 4;
const NOTICE_MS = 45 * 60_000;

export function suggestions(wishes: readonly Wish[], now: number): Date[] {
  const hours = hoursOf(wishes);
  const weekend = wishes.includes('weekend');
  const today = dayOf(new Date(now));
  const found: Date[] = [];
  for (let later = 0; later < DAYS && found.length < SUGGESTED; later += 1) {
    for (const hour of hours) {
      const at = momentOf(dayAfter(today, later), `${String(hour).padStart(2, '0')}:00`);
      const fits = at && (!weekend || isWeekend(at));
      if (fits && at.getTime() > now + NOTICE_MS && found.length < SUGGESTED) found.push(at);
    }
  }
  return found;
}

function hoursOf(wishes: readonly Wish[]): number[] {
  const ofDay = wishes.filter((wish) => wish !== 'soon' && wish !== 'weekend');
  const asked = ofDay.length ? ofDay : wishes.length ? wishes : (['soon'] as const);
  return [...new Set(asked.flatMap((wish) => HOURS[wish]))].sort((one, other) => one - other);
}

/** Whether a time matches the customer's wishes. */
export function matches(at: Date, wishes: readonly Wish[]): boolean {
  if (wishes.includes('weekend') && !isWeekend(at)) return false;
  const ofDay = wishes.filter((wish) => wish !== 'soon' && wish !== 'weekend');
  const hour = Number(hourOf(at).slice(0, 2));
  const part = hour < 12 ? 'morning' : hour < 18 ? 'afternoon' : 'evening';
  return !ofDay.length || ofDay.includes(part);
}

function isWeekend(at: Date): boolean {
  return [0, 6].includes(new Date(`${dayOf(at)}T00:00Z`).getUTCDay());
}

/** 2026-03-02 and 14:00 by the clocks of the place, as date and time fields use them. */
export const dayOf = (at: Date) => wallTime(at).slice(0, 10);
export const hourOf = (at: Date) => wallTime(at).slice(11);
