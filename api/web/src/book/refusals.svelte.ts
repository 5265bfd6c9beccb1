// What the API refused when she booked: shown where it can be mended.
import type { Refused } from '../shared/api';
import type { Step } from './path.svelte';

export const refusals = $state<{ fields: string[]; suggestions: string[] }>({
  fields: [],
  suggestions: [],
});

const STEP_OF: [string, Step][] = [
  ['customer.', 'who'],
  ['address.', 'where'],
  ['notes', 'when'],
  ['wishes', 'when'],
];

/** Remember what was refused; returns the step at which it can be mended. */
export function take(error: Refused): Step | undefined {
  refusals.fields = error.errors.map(({ field }) => field);
  refusals.suggestions = error.errors.flatMap(({ suggestions }) => suggestions ?? []);
  return STEP_OF.find(([part]) => refusals.fields.some((field) => field.startsWith(part)))?.[1];
}

export function refused(field: string): boolean {
  return refusals.fields.includes(field);
}

export function forgive(field: string): void {
  refusals.fields = refusals.fields.filter((one) => one !== field);
}
