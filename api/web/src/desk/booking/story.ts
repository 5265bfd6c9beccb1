// The story of a booking: each event as a sentence, with its actor and the results of its offers.
import {
  distance,
  minutes,
  money,
  number,
  plainValues,
  shared,
  type Values,
} from '../../shared/i18n.svelte';
import { say, type Key } from '../say';
import type { BookingDetails, DeskEvent, Market, OfferRow } from '../types';
import { label, shortTime, when, type Tone } from '../words';

export interface StoryOffer {
  friend: string;
  distance: string;
  result: string;
  tone: Tone;
}
export interface StoryEntry {
  seq: number;
  at: string;
  text: string;
  by: string;
  tone: Tone;
  offers: StoryOffer[];
}

type Names = Map<string, string>;

const TONES: Record<string, Tone> = {
  'booking.awarded': 'accent',
  'booking.contacted': 'good',
  'booking.scheduled': 'good',
  'booking.completed': 'good',
  'booking.rated': 'good',
  'booking.unfilled': 'bad',
  'contact.missed': 'bad',
  'contact.disputed': 'bad',
  'contact.answered': 'warn',
  'contact.unanswered': 'bad',
  'completion.contested': 'bad',
  'booking.reopened': 'warn',
  'booking.incomplete': 'warn',
  'booking.handed_back': 'warn',
  'contact.reminded': 'warn',
  'appointment.move_asked': 'warn',
  'booking.cancelled': 'bad',
};
const OFFER_TONES: Record<string, Tone> = { live: 'accent', accepted: 'good', released: 'plain' };

export function story(
  booking: BookingDetails,
  packages: Record<string, string>,
  me: string,
): StoryEntry[] {
  const people = [...booking.offers_made, ...booking.awards];
  const names: Names = new Map(people.map((one) => [one.friend_id, one.name]));
  const offers = new Map(booking.offers_made.map((one) => [one.id, one]));
  return booking.events.map((event) => ({
    seq: event.seq,
    at: event.at,
    text: say(keyOf(event, booking.events) as Key, values(event, booking, names, packages)),
    by: actorName(event.actor, names, me),
    tone: TONES[event.kind] ?? 'plain',
    offers: event.kind === 'booking.offered' ? offersOf(event, offers, booking.market) : [],
  }));
}

function actorName(actor: string, names: Names, me: string): string {
  const [kind = '', id = ''] = actor.split(':');
  if (kind === 'friend') return names.get(id) ?? say('by.friend');
  if (kind === 'operator' && id === me) return say('by.you');
  return label('by', kind);
}

function offersOf(event: DeskEvent, offers: Map<string, OfferRow>, market: Market): StoryOffer[] {
  const listed = (event.data.offers ?? []) as { id: string }[];
  return listed.flatMap(({ id }) => {
    const offer = offers.get(id);
    if (!offer) return [];
    // An offer that has expired is closed a moment later.
    const ended = offer.state === 'expired' ? null : offer.answered_at;
    const at = shortTime(ended ?? offer.expires_at, market);
    return {
      friend: offer.name,
      distance: distance(offer.distance_m),
      result: say(`offer.${offer.state}`, { at }),
      tone: OFFER_TONES[offer.state] ?? 'plain',
    };
  });
}

/** The text of an event; the data of some kinds choose another one. */
function keyOf(event: DeskEvent, all: readonly DeskEvent[]): string {
  const { kind, data } = event;
  if (kind === 'booking.scheduled' && isMove(event, all)) return 'event.booking.moved';
  if (kind === 'booking.redispatched' && data.friend) return 'event.booking.taken';
  if (kind === 'contact.disputed' && data.claimed) return 'event.contact.denied';
  if (kind === 'contact.answered' && !data.called_at) return 'event.contact.written';
  if (kind === 'booking.cancelled' && data.fee_minor) return 'event.booking.cancelled_late';
  if (kind === 'booking.unfilled' && data.because === 'rounds_spent') return 'event.booking.spent';
  return `event.${kind}`;
}

/** Whether an appointment replaces an earlier one of the same friend. */
function isMove({ seq }: DeskEvent, all: readonly DeskEvent[]): boolean {
  const before = all.filter((one) => one.seq < seq);
  const last = before.findLast(({ kind }) => /^booking\.(awarded|scheduled)$/.test(kind));
  return last?.kind === 'booking.scheduled';
}

function values(
  { data }: DeskEvent,
  booking: BookingDetails,
  names: Names,
  packages: Record<string, string>,
): Values {
  const friends = (data.friends ?? []) as string[];
  const moment = data.starts_at ?? data.due_at ?? data.called_at;
  const fee = { amount: Number(data.fee_minor ?? 0), currency: booking.price.currency };
  return {
    ...plainValues(data),
    package: packages[String(data.package)] ?? String(data.package ?? ''),
    friend: names.get(String(data.friend)) ?? say('by.friend'),
    friends: friends.map((id) => names.get(id) ?? say('by.friend')).join(', '),
    count: ((data.offers ?? friends) as unknown[]).length,
    round: number(Number(data.round ?? 0)),
    when: typeof moment === 'string' ? when(moment, booking.market) : '',
    reason: label('reason', data.reason as string),
    wishes: ((data.wishes ?? []) as string[]).map((wish) => label('wish', wish)).join(', ') || '–',
    stars: shared.say('stars', { count: Number(data.stars ?? 0) }),
    minutes: minutes(Number(data.minutes ?? 0)),
    fee: money(fee),
  };
}
