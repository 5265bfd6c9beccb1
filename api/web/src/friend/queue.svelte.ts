// Every answer is kept before it is sent, so that no tunnel, cellar or empty battery loses it.
import { answers as kept, type Answer, type Outcome, type Reply } from './keep';
import { mine, type Offer } from './mine.svelte';
import { send } from './reply';
import { say } from './say';

const AGAIN_MS = 5000;

class Queue {
  /** By the offer's id: without an outcome it waits for the network. */
  all = $state<Record<string, Answer>>({});
  #sending: Promise<void> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;

  get told(): Answer[] {
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
    for (const answer of await kept.all().catch(() => [])) this.all[answer.offer_id] = answer;
    await this.flush();
  }

  async give(offer: Offer, reply: Reply): Promise<void> {
    const { id: offer_id, booking_id, package: what } = offer;
    const answer: Answer = { offer_id, booking_id, name: what.name, reply, told: words() };
    this.all[offer_id] = answer;
    await kept.put(answer).catch(() => undefined);
    await this.flush();
  }

  /** Send what waits, one after the other. */
  flush(): Promise<void> {
    this.#sending ??= this.#flush().finally(() => (this.#sending = undefined));
    return this.#sending;
  }

  /** It stands on the screen: the next visit need not tell it once more. */
  async shown(offerId: string): Promise<void> {
    await kept.drop(offerId).catch(() => undefined);
  }

  /** It was read. */
  async seen(offerId: string): Promise<void> {
    if (!this.all[offerId]?.outcome) return;
    await this.shown(offerId);
    delete this.all[offerId];
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#again);
    for (;;) {
      const next = this.told.find((answer) => !answer.outcome);
      if (!next) return;
      const said = await send($state.snapshot(next));
      if (said === 'signed_out') {
        mine.signedOut = true;
        return;
      }
      if (said === 'later') {
        await this.#wait();
        return;
      }
      await this.#settle(next.offer_id, said);
    }
  }

  async #settle(offerId: string, outcome: Outcome): Promise<void> {
    const answer = this.all[offerId];
    if (!answer) return;
    answer.outcome = outcome;
    await kept.put($state.snapshot(answer)).catch(() => undefined);
    await mine.load();
  }

  /** The browser sends it when it can, also when this page is closed by then; else we ask. */
  async #wait(): Promise<void> {
    this.#again = setTimeout(() => void this.flush(), AGAIN_MS);
    const worker = await navigator.serviceWorker?.getRegistration('/friend').catch(() => undefined);
    const { sync } = (worker ?? {}) as { sync?: { register(tag: string): Promise<void> } };
    await sync?.register('answers').catch(() => undefined);
  }
}

function words(): Record<Outcome, string> {
  return {
    won: say('won'),
    declined: say('ended.declined'),
    gone: say('ended.lost'),
    expired: say('ended.expired'),
    full: say('ended.full'),
    refused: say('ended.gone'),
  };
}

export const queue = new Queue();
