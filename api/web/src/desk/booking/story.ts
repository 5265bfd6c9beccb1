// The story of a booking: every fact as a sentence, with who did it and what became of the offers.
import { distance, money, number } from '../../shared/i18n.svelte';
import { say, type Key } from '../say';
import type { Fact, OfferMade, Whole } from '../types';
import { shortTime, when, word, type Tone } from '../words';

export interface Asked {
  who: string;
  away: string;
  became: string;
  tone: Tone;
}
export interface Chapter {
  seq: number;
  at: string;
  text: string;
  by: string;
  tone: Tone;
  asked: Asked[];
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
  'booking.incomplete': 'warn',
  'booking.handed_back': 'warn',
  'contact.reminded': 'warn',
  'appointment.move_asked': 'warn',
  'booking.cancelled': 'bad',
};
const OFFER_TONES: Record<string, Tone> = { live: 'accent', accepted: 'good', released: 'plain' };

export function story(whole: Whole, packages: Record<string, string>, me: string): Chapter[] {
  const people = [...whole.offers_made, ...whole.awards];
  const names: Names = new Map(people.map((one) => [one.friend_id, one.name]));
  const offers = new Map(whole.offers_made.map((one) => [one.id, one]));
  return whole.events.map((fact) => ({
    seq: fact.seq,
    at: fact.at,
    text: sentence(fact, whole, names, packages),
    by: doer(fact.actor, names, me),
    tone: TONES[fact.kind] ?? 'plain',
    asked: fact.kind === 'booking.offered' ? asked(fact, offers) : [],
  }));
}

function doer(actor: string, names: Names, me: string): string {
  const [kind = '', id = ''] = actor.split(':');
  if (kind === 'friend') return names.get(id) ?? say('by.friend');
  if (kind === 'operator' && id === me) return say('by.you');
  return word('by', kind);
}

function asked(fact: Fact, offers: Map<string, OfferMade>): Asked[] {
  const listed = (fact.data.offers ?? []) as { id: string }[];
  return listed.flatMap(({ id }) => {
    const offer = offers.get(id);
    if (!offer) return [];
    const at = offer.answered_at ? shortTime(offer.answered_at) : shortTime(offer.expires_at);
    return {
      who: offer.name,
      away: distance(offer.distance_m),
      became: say(`offer.${offer.state}`, { at }),
      tone: OFFER_TONES[offer.state] ?? 'plain',
    };
  });
}

function sentence(
  fact: Fact,
  whole: Whole,
  names: Names,
  packages: Record<string, string>,
): string {
  const key = keyOf(fact);
  const said = say(key as Key, values(fact, whole, names, packages));
  return said === key ? fact.kind : said;
}

/** Some facts are told in another sentence when a datum says so. */
function keyOf({ kind, data }: Fact): string {
  if (kind === 'booking.scheduled' && Number(data.revision) > 1) return 'event.booking.moved';
  if (kind === 'booking.redispatched' && data.friend) return 'event.booking.taken';
  if (kind === 'contact.disputed' && data.claimed) return 'event.contact.denied';
  if (kind === 'booking.cancelled' && data.fee_minor) return 'event.booking.cancelled_late';
  if (kind === 'booking.unfilled' && data.because === 'rounds_spent') return 'event.booking.spent';
  return `event.${kind}`;
}

function values(fact: Fact, whole: Whole, names: Names, packages: Record<string, string>) {
  const { data } = fact;
  const friends = (data.friends ?? []) as string[];
  const moment = data.starts_at ?? data.due_at;
  const fee = { amount: Number(data.fee_minor ?? 0), currency: whole.price.currency };
  return {
    package: packages[String(data.package)] ?? String(data.package ?? ''),
    friend: names.get(String(data.friend)) ?? say('by.friend'),
    friends: friends.map((id) => names.get(id) ?? say('by.friend')).join(', '),
    count: ((data.offers ?? friends) as unknown[]).length,
    round: number(Number(data.round ?? 0)),
    when: typeof moment === 'string' ? when(moment, whole.market) : '',
    reason: word('reason', data.reason as string),
    wishes: ((data.wishes ?? []) as string[]).map((wish) => word('wish', wish)).join(', ') || '–',
    stars: Number(data.stars ?? 0),
    fee: money(fee),
  };
}
