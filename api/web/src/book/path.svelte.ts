// The steps of the booking: each is an entry of the browser's history, so that its back button works.
import { tick } from 'svelte';
import { draft, quoted } from './draft.svelte';
import { faults } from './check';

export const STEPS = ['what', 'where', 'near', 'when', 'who', 'check'] as const;
export type Step = (typeof STEPS)[number];

interface Entry {
  step: Step;
  category: string;
  /** How many entries of this page precede this one. */
  depth: number;
}

export const path = $state<Entry>({ step: 'what', category: '', depth: 0 });

const ANSWERED: Record<Step, () => boolean> = {
  what: () => draft.package !== '',
  where: () => [draft.street, draft.postcode, draft.city].every((one) => one.trim() !== ''),
  near: quoted,
  when: () => true,
  who: () => Object.keys(faults()).length === 0,
  check: () => true,
};

/** Restore the step after a reload or a step in the history: never beyond the first unanswered one. */
export function restore(): void {
  const entry = history.state as Entry | null;
  // The link that skips to the content makes an entry too, without a step.
  if (entry?.step) Object.assign(path, entry);
  if (draft.sent) path.step = 'check';
  const missing = STEPS.find((step) => !ANSWERED[step]());
  if (missing && STEPS.indexOf(path.step) > STEPS.indexOf(missing)) path.step = missing;
  history.replaceState({ ...path }, '');
}

export function go(step: Step, category = ''): void {
  Object.assign(path, { step, category, depth: path.depth + 1 });
  history.pushState({ ...path }, '');
  void focusHeading();
}

export function next(): void {
  const following = STEPS[STEPS.indexOf(path.step) + 1] ?? 'check';
  const missing = STEPS.find((step) => !ANSWERED[step]());
  go(draft.checked ? (missing ?? 'check') : following);
}

export function back(): void {
  if (path.depth > 0) {
    history.back();
    return;
  }
  const before = STEPS[Math.max(0, STEPS.indexOf(path.step) - 1)] ?? 'what';
  Object.assign(path, { step: before, category: '' });
  history.replaceState({ ...path }, '');
  void focusHeading();
}

/** Scroll to the top and focus the heading of the new step, for screen readers too. */
export async function focusHeading(): Promise<void> {
  await tick();
  scrollTo(0, 0);
  document.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
}

/** Focus the first invalid field. */
export async function focusFault(): Promise<void> {
  await tick();
  document.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}
