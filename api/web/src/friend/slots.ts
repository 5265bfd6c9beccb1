// Suggested times for an appointment: the next few that match the customer's wishes.
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
  const found: Date[] = [];
  for (let day = 0; day < DAYS && found.length < SUGGESTED; day += 1) {
    for (const hour of hours) {
      const at = new Date(now);
      at.setDate(at.getDate() + day);
      at.setHours(hour, 0, 0, 0);
      const fits = !weekend || isWeekend(at);
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
  const hour = at.getHours();
  const part = hour < 12 ? 'morning' : hour < 18 ? 'afternoon' : 'evening';
  return !ofDay.length || ofDay.includes(part);
}

function isWeekend(at: Date): boolean {
  return at.getDay() === 0 || at.getDay() === 6;
}

const two = (value: number) => String(value).padStart(2, '0');
/** 2026-03-02 and 14:00 in the phone's time zone, as date and time fields use them. */
export const dayOf = (at: Date) =>
  `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
export const hourOf = (at: Date) => `${two(at.getHours())}:${two(at.getMinutes())}`;
