// The current state in a title and a sentence, for the page and for the title of its tab.
import { clock } from '../shared/clock.svelte';
import { minutes, money, time } from '../shared/i18n.svelte';
import type { Job } from './job.svelte';
import { say } from './say';

export type Tone = 'waits' | 'good' | 'soon' | 'bad' | 'over';
export interface Statement {
  title: string;
  text: string;
  tab: string;
  tone: Tone;
}

const DAY: Intl.DateTimeFormatOptions = { weekday: 'long', day: 'numeric', month: 'long' };
const SHORT_DAY: Intl.DateTimeFormatOptions = { weekday: 'short', day: 'numeric', month: 'short' };
const HOUR: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit' };

/** “21:40”, or “Tuesday 3 March, 09:10” when it is not today; `day` is how its day is written. */
export function until(at: string, day = DAY): string {
  const today = time(clock.now, { dateStyle: 'short' }) === time(at, { dateStyle: 'short' });
  return today ? time(at, HOUR) : `${time(at, day)}, ${time(at, HOUR)}`;
}

export function when(at: string): string {
  return `${time(at, DAY)}, ${time(at, HOUR)}`;
}

export function statement(job: Job): Statement {
  const name = job.friend?.first_name ?? '';
  switch (job.state) {
    case 'unconfirmed':
      return plain('unconfirmed', 'soon', { name });
    case 'open':
      return open(job);
    case 'awarded':
      return {
        title: say('awarded.title', { name }),
        text: say(job.disputed_at ? 'awarded.reminded' : 'awarded.text', {
          name,
          time: job.contact_due_at ? until(job.contact_due_at) : '',
        }),
        tab: say('awarded.tab', { name }),
        tone: 'good',
      };
    case 'contacted':
    case 'scheduled':
      return coming(job, name);
    case 'under_way':
      return plain('under_way', 'good', { name });
    case 'completed':
      return job.contest === 'open'
        ? plain('contested', 'soon', { name })
        : plain('completed', 'over', { name });
    case 'incomplete':
      return plain('incomplete', 'bad', { name });
    case 'unfilled':
      return plain('unfilled', 'bad', { name });
    case 'cancelled':
      return cancelled(job);
  }
}

type Plain =
  | 'unconfirmed'
  | 'under_way'
  | 'completed'
  | 'contested'
  | 'incomplete'
  | 'unfilled'
  | 'on_the_way';

function plain(key: Plain, tone: Tone, values: Record<string, string>): Statement {
  const part = (end: 'title' | 'text' | 'tab') => say(`${key}.${end}`, values);
  return { title: part('title'), text: part('text'), tab: part('tab'), tone };
}

function open(job: Job): Statement {
  const count = job.offers.live;
  if (job.asked_first) {
    const values = { name: job.asked_first.first_name, time: until(job.asked_first.until) };
    const title = say('open.first', values);
    return { title, text: say('open.first_text', values), tab: say('open.tab'), tone: 'waits' };
  }
  return {
    title: count ? say('open.title', { count }) : say('open.looking'),
    text: say(job.round > 1 ? 'open.again' : 'open.text'),
    tab: say('open.tab'),
    tone: 'waits',
  };
}

function coming(job: Job, name: string): Statement {
  const delay = job.delayed_minutes;
  const delayed = () => say('scheduled.delayed', { name, minutes: minutes(delay ?? 0) });
  if (job.on_the_way_at) {
    const coming = plain('on_the_way', 'soon', { name });
    return delay ? { ...coming, text: delayed() } : coming;
  }
  const at = job.appointment?.starts_at;
  if (!at) {
    const values = { name };
    const text = contacted(job, name);
    const tab = say('contacted.tab', values);
    return { title: say('contacted.title', values), text, tab, tone: 'good' };
  }
  const late = clock.now > Date.parse(job.appointment?.ends_at ?? at);
  const detail = late ? 'late' : job.move_asked_at ? 'moving' : 'text';
  const values = { name, day: time(at, DAY), time: time(at, HOUR) };
  return {
    title: say('scheduled.title', values),
    text: delay && detail === 'text' ? delayed() : say(`scheduled.${detail}`, values),
    tab: say('scheduled.tab', { when: until(at, SHORT_DAY) }),
    tone: 'good',
  };
}

/** What follows the contact, or what became of the customer's report that there was none. */
function contacted(job: Job, name: string): string {
  if (job.contact_contest === 'open' && job.answer_by)
    return say('contacted.contested', { name, time: until(job.answer_by) });
  if (job.contact_contest === 'answered')
    return job.called_at
      ? say('contacted.answered', { name, time: until(job.called_at) })
      : say('contacted.written', { name });
  const disputed = job.disputed_at && !job.contact_contest;
  return say(disputed ? 'contacted.disputed' : 'contacted.text', { name });
}

function cancelled(job: Job): Statement {
  const fee = job.cancel_fee;
  const text = fee?.amount ? say('cancelled.fee', { fee: money(fee) }) : say('cancelled.free');
  return { title: say('cancelled.title'), text, tab: say('cancelled.tab'), tone: 'over' };
}
