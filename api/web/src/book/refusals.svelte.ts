// The fields that the API refused when booking, displayed at the step that corrects them.
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

/** Keep the refused fields; returns the step that corrects them. */
export function keepRefusal(error: Refused): Step | undefined {
  refusals.fields = error.errors.map(({ field }) => field);
  refusals.suggestions = error.errors.flatMap(({ suggestions }) => suggestions ?? []);
  return STEP_OF.find(([part]) => refusals.fields.some((field) => field.startsWith(part)))?.[1];
}

export function refused(field: string): boolean {
  return refusals.fields.includes(field);
}

export function clearRefusal(field: string): void {
  refusals.fields = refusals.fields.filter((one) => one !== field);
}
