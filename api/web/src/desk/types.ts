// The nouns of the desk, as the API says them.
import type { Schema } from '../shared/api';

export type Row = Schema<'BookingRow'>;
export type Whole = Schema<'BookingWhole'>;
export type Fact = Schema<'WholeEvent'>;
export type OfferMade = Schema<'OfferMade'>;
export type Neighbour = Schema<'Neighbour'>;
export type FriendWhole = Schema<'FriendWhole'>;
export type FriendRow = Schema<'FriendRow'>;
export type Columns = Schema<'Map'>;
export type Market = Schema<'Market'>;
export type BookingState = Schema<'BookingState'>;
export type Queues = Schema<'Queues'>;
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

export const MARKETS = ['CH', 'DE', 'AT', 'PL'] as const satisfies readonly Market[];
