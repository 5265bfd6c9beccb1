// Short names for the API's types that the desk uses.
import type { Schema } from '../shared/api';

export type Row = Schema<'BookingRow'>;
export type Whole = Schema<'BookingDetailsResponse'>;
export type Fact = Schema<'DeskEvent'>;
export type OfferMade = Schema<'OfferRow'>;
export type Neighbour = Schema<'NearbyFriend'>;
export type FriendWhole = Schema<'FriendDetailsResponse'>;
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
  'incomplete',
  'unsure_addresses',
  'parked_messages',
] as const satisfies readonly Queue[];
