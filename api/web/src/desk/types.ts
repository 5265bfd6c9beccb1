// Short names for the API's types that the desk uses.
import type { Schema } from '../shared/api';

export type BookingRow = Schema<'BookingRow'>;
export type BookingDetails = Schema<'BookingDetailsResponse'>;
export type DeskEvent = Schema<'DeskEvent'>;
export type OfferRow = Schema<'OfferRow'>;
export type NearbyFriend = Schema<'NearbyFriend'>;
export type FriendDetails = Schema<'FriendDetailsResponse'>;
export type FriendRow = Schema<'FriendRow'>;
export type Columns = Schema<'MapResponse'>;
export type Market = Schema<'Market'>;
export type BookingState = Schema<'BookingState'>;
export type Queues = Schema<'QueuesResponse'>;
export type Queue = keyof Queues;

export const QUEUES = [
  'unfilled',
  'contact_due_soon',
  'missed',
  'disputed',
  'nothing_agreed',
  'contested',
  'parked_messages',
  'hand_backs',
  'incomplete',
  'unsure_addresses',
] as const satisfies readonly Queue[];
/** The queues with a key of their own, from 1 on; no keyboard has a tenth digit beside 0. */
export const KEYED = QUEUES.slice(0, 9);
