// The past of a booking as its customer reads it.
import { minutes } from '../shared/i18n.svelte';
import type { JobEvent } from './job.svelte';
import { say } from './say';

/** The kinds of events with a text. */
export const LISTED = [
  'booking.created',
  'booking.offered',
  'booking.unfilled',
  'booking.awarded',
  'booking.contacted',
  'contact.disputed',
  'contact.missed',
  'booking.handed_back',
  'booking.redispatched',
  'booking.scheduled',
  'appointment.move_asked',
  'booking.on_the_way',
  'booking.delayed',
  'booking.started',
  'booking.completed',
  'booking.incomplete',
  'booking.cancelled',
  'booking.rated',
] as const;
type Kind = (typeof LISTED)[number];

export interface Past {
  text: string;
  at: string;
  state: 'done';
}

/** What has happened, without what is of no use to the customer, as a declined offer. */
export function pastOf(events: readonly JobEvent[]): Past[] {
  return events
    .filter(({ kind }, place) => {
      // Rounds that follow each other directly are one entry.
      const again = kind === 'booking.offered' && events[place - 1]?.kind.startsWith('offer.');
      return LISTED.includes(kind as Kind) && !again;
    })
    .map(({ kind, at, data }) => ({
      text: say(`past.${kind as Kind}`, { minutes: minutes(Number(data.minutes ?? 0)) }),
      at,
      state: 'done' as const,
    }));
}
