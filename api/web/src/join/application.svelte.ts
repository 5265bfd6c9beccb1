// The application of who is signed in, and the step that is shown; the step stands in the address.
import { api, Refused, type Schema } from '../shared/api';
import { forgetWho } from './pending';
import { say } from './say';

export type Application = Schema<'ApplicationResponse'>;
export type Changes = Schema<'ApplicationRequest'>;
export const STEPS = ['you', 'place', 'skills', 'agree'] as const;
export type Step = (typeof STEPS)[number];

export const own = $state<{ application: Application | null | undefined; step: Step }>({
  application: undefined,
  step: stepOf(),
});

function stepOf(): Step {
  const asked = new URLSearchParams(location.search).get('step');
  return STEPS.find((one) => one === asked) ?? 'you';
}

window.addEventListener('popstate', () => (own.step = stepOf()));

export function goTo(step: Step): void {
  history.pushState(null, '', `?step=${step}`);
  own.step = step;
  scrollTo(0, 0);
}

/** The application; null without a session or without one. */
export async function load(): Promise<void> {
  try {
    own.application = await api.get('/v1/me/application');
    forgetWho();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    own.application = null;
  }
}

export async function save(changes: Omit<Changes, 'consents'> & { consents?: string[] }) {
  const body = changes as Changes;
  own.application = await api.patch('/v1/me/application', { body });
}

/** The texts of refused fields; `other` when no field is named. */
export function wrongFields(error: unknown): Record<string, string> {
  const found: Record<string, string> = {};
  if (error instanceof Refused) {
    for (const { field } of error.errors) found[field.split('.')[0] ?? field] = say('wrong');
    if (error.errors.length) return found;
  }
  return { other: say('failed') };
}
