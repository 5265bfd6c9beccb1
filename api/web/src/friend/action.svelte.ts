// One step of a job at a time: which one is running, and why the last one failed.
import { api, Refused, Unreachable } from '../shared/api';
import { shared } from '../shared/i18n.svelte';
import { toast } from '../shared/ui/toast.svelte';
import { mine } from './mine.svelte';
import { say } from './say';
import { clockTime } from './words';

type Step = 'contacted' | 'on-the-way' | 'not-on-the-way' | 'start';
interface Of {
  booking_id: string;
}

const DONE = {
  contacted: 'done.contacted',
  'on-the-way': 'done.on_the_way',
  'not-on-the-way': 'done.not_on_the_way',
  start: '',
} as const;

/** Why the last step failed. */
export const trouble = $state({ text: '' });

class Action {
  current = $state('');

  step(step: Step, path: Of): Promise<boolean> {
    const asked = { path };
    return this.run(
      step,
      () => {
        if (step === 'contacted') return api.post('/v1/bookings/{booking_id}/contacted', asked);
        if (step === 'start') return api.post('/v1/bookings/{booking_id}/start', asked);
        if (step === 'on-the-way') return api.post('/v1/bookings/{booking_id}/on-the-way', asked);
        return api.delete('/v1/bookings/{booking_id}/on-the-way', asked);
      },
      DONE[step] && say(DONE[step]),
    );
  }

  /** Run `work`, report success, reload the jobs; field errors are thrown, for the form. */
  async run(what: string, work: () => Promise<unknown>, done = ''): Promise<boolean> {
    this.current = what;
    trouble.text = '';
    try {
      await work();
      await mine.load();
      if (done) toast(done);
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 422) throw error;
      trouble.text = refusalText(error);
      if (error instanceof Refused) await mine.load();
      return false;
    } finally {
      this.current = '';
    }
  }
}

/** The message of an error in the reader's language. */
export function refusalText(error: unknown): string {
  if (error instanceof Unreachable) return say('no_network');
  if (!(error instanceof Refused)) return shared.say('error.title');
  if (error.code === 'contact-deadline-passed') return say('no.deadline');
  if (error.code === 'completed-too-early')
    return say('no.too_early', { time: clockTime(String(error.more.possible_at)) });
  if (error.code === 'contact-contested') return say('no.contested');
  if (error.code === 'wrong-state') return say('no.state');
  if (error.code === 'appointment-overlaps') return say('no.overlaps');
  if (error.code === 'not-found') return say('not_mine');
  return error.errors[0]?.problem ?? shared.say('error.title');
}

export const action = new Action();
