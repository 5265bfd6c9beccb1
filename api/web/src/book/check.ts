// Checks of the contact details before anything is sent; the API checks the rest.
import { draft } from './draft.svelte';

export type Fault = 'name' | 'email' | 'phone';

const EMAIL = /^\S+@\S+\.\S{2,}$/;
const DIGITS_MIN = 6;

export function faults(): Partial<Record<Fault, true>> {
  const found: Partial<Record<Fault, true>> = {};
  if (!draft.name.trim()) found.name = true;
  if (!EMAIL.test(draft.email.trim())) found.email = true;
  if (draft.phone.replace(/\D/g, '').length < DIGITS_MIN) found.phone = true;
  return found;
}
