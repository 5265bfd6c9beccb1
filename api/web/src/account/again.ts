// Booking again: the answers go to the booking page in the storage of this tab, never in its address.
import { api, type Schema } from '../shared/api';

const DRAFT_KEY = 'tekkie.draft';

export type Own = Schema<'OwnBooking'>;

/** The known answers of a booking like this one; with `first`, its friend is asked first. */
export async function bookAgain(bookingId: string, first: boolean): Promise<void> {
  const path = { booking_id: bookingId };
  const before = await api.get('/v1/bookings/{booking_id}', { path });
  const { customer } = before;
  const draft = {
    country: before.market,
    package: before.package,
    street: customer?.address.street ?? '',
    postcode: customer?.address.postcode ?? '',
    city: customer?.address.city ?? '',
    notes: customer?.notes ?? '',
    name: customer?.name ?? '',
    email: customer?.email ?? '',
    phone: customer?.phone ?? '',
    spoken: before.language,
    askFirst: first && before.friend ? { id: before.id, name: before.friend.first_name } : null,
  };
  sessionStorage.setItem(DRAFT_KEY, JSON.stringify(draft));
  location.assign('/');
}
