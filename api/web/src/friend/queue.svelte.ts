// The friend's answers: each is stored before it is sent, so that a lost network loses none.
import { answers as stored, type Answer, type Outcome, type Reply } from './storage';
import { mine, type Offer } from './mine.svelte';
import { send } from './reply';
import { say } from './say';

const AGAIN_MS = 5000;

class Queue {
  /** By the offer's id; an answer without an outcome is not sent yet. */
  all = $state<Record<string, Answer>>({});
  #sending: Promise<void> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;

  get list(): Answer[] {
    return Object.values(this.all);
  }

  begin(): () => void {
    void this.read();
    const back = () => void this.flush();
    const worker = (event: MessageEvent<{ kind?: string }>) => {
      if (event.data?.kind === 'answers') void this.read();
    };
    addEventListener('online', back);
    navigator.serviceWorker?.addEventListener('message', worker);
    return () => {
      removeEventListener('online', back);
      navigator.serviceWorker?.removeEventListener('message', worker);
      clearTimeout(this.#again);
    };
  }

  async read(): Promise<void> {
    for (const answer of await stored.all().catch(() => [])) this.all[answer.offer_id] = answer;
    await this.flush();
  }

  async answer(offer: Offer, reply: Reply): Promise<void> {
    const { id: offer_id, booking_id, package: what } = offer;
    const answer: Answer = { offer_id, booking_id, name: what.name, reply, told: outcomeTexts() };
    this.all[offer_id] = answer;
    await stored.put(answer).catch(() => undefined);
    await this.flush();
  }

  /** Send the unsent answers, one after the other. */
  flush(): Promise<void> {
    this.#sending ??= this.#flush().finally(() => (this.#sending = undefined));
    return this.#sending;
  }

  /** The outcome is displayed: it need not be displayed again on the next visit. */
  async markDisplayed(offerId: string): Promise<void> {
    await stored.drop(offerId).catch(() => undefined);
  }

  /** Remove an answer whose outcome has been read. */
  async dismiss(offerId: string): Promise<void> {
    if (!this.all[offerId]?.outcome) return;
    await this.markDisplayed(offerId);
    delete this.all[offerId];
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#again);
    for (;;) {
      const next = this.list.find((answer) => !answer.outcome);
      if (!next) return;
      const result = await send($state.snapshot(next));
      if (result === 'signed_out') {
        mine.signedOut = true;
        return;
      }
      if (result === 'later') {
        await this.#wait();
        return;
      }
      await this.#settle(next.offer_id, result);
    }
  }

  async #settle(offerId: string, outcome: Outcome): Promise<void> {
    const answer = this.all[offerId];
    if (!answer) return;
    answer.outcome = outcome;
    await stored.put($state.snapshot(answer)).catch(() => undefined);
    await mine.load();
  }

  /** The browser sends it when it can, even after this page is closed; without that, by timer. */
  async #wait(): Promise<void> {
    this.#again = setTimeout(() => void this.flush(), AGAIN_MS);
    const worker = await navigator.serviceWorker?.getRegistration('/friend').catch(() => undefined);
    const { sync } = (worker ?? {}) as { sync?: { register(tag: string): Promise<void> } };
    await sync?.register('answers').catch(() => undefined);
  }
}

function outcomeTexts(): Record<Outcome, string> {
  return {
    won: say('won'),
    declined: say('ended.declined'),
    gone: say('ended.lost'),
    expired: say('ended.expired'),
    full: say('ended.full'),
    day: say('ended.day'),
    refused: say('ended.gone'),
  };
}

export const queue = new Queue();
