// A customer who is signed in: their details are the first answers, which they may change.
import { api } from '../shared/api';
import { maybeSignedIn } from '../shared/customer';
import type { Market } from '../shared/markets.svelte';
import { draft } from './draft.svelte';

/** Fill what is still empty in the draft; returns the customer's name, empty for a stranger. */
export async function greet(): Promise<string> {
  if (!maybeSignedIn()) return '';
  try {
    const { name, email, phone, address } = await api.get('/v1/account');
    draft.name ||= name;
    draft.email ||= email;
    draft.phone ||= phone ?? '';
    if (address && !draft.street && !draft.postcode) {
      const { street, postcode, city, country } = address;
      Object.assign(draft, { street, postcode, city, country: country as Market });
    }
    return name;
  } catch {
    return '';
  }
}
