// The past of a booking as its customer reads it.
import { minutes, plainValues } from '../shared/i18n.svelte';
import type { JobEvent } from './job.svelte';
import { has, say } from './say';

export interface Past {
  text: string;
  at: string;
  state: 'done';
}

/** What has happened, as far as there are texts for the customer: a declined offer has none. */
export function pastOf(events: readonly JobEvent[]): Past[] {
  return events.flatMap(({ kind, at, data }, place) => {
    const key = `past.${kind}`;
    // Rounds that follow each other directly are one entry.
    const again = kind === 'booking.offered' && events[place - 1]?.kind.startsWith('offer.');
    if (again || !has(key)) return [];
    const values = { ...plainValues(data), minutes: minutes(Number(data.minutes ?? 0)) };
    return [{ text: say(key, values), at, state: 'done' as const }];
  });
}
