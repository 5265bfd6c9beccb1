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
  'hand_backs',
  'contested',
  'incomplete',
  'unsure_addresses',
  'parked_messages',
] as const satisfies readonly Queue[];
