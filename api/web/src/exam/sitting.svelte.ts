// One sitting: answers go to the server at once; those that could not be sent are kept and sent again.
import { SvelteMap } from 'svelte/reactivity';
import { api, Refused, type Schema, Unreachable } from '../shared/api';

export type Paper = Schema<'SittingResponse'>;
const AGAIN_MS = 3000;

function kept(id: string): [number, number][] {
  try {
    return JSON.parse(localStorage.getItem(`tekkie.exam.${id}`) ?? '[]') as [number, number][];
  } catch {
    return [];
  }
}

function keep(id: string, unsent: [number, number][]): void {
  try {
    if (unsent.length) localStorage.setItem(`tekkie.exam.${id}`, JSON.stringify(unsent));
    else localStorage.removeItem(`tekkie.exam.${id}`);
  } catch {
    // Without storage a reload loses what was not sent.
  }
}

export class Sitting {
  paper = $state.raw<Paper>() as Paper;
  /** The chosen options by the number of the question. */
  readonly chosen = new SvelteMap<number, number>();
  readonly unsent = new SvelteMap<number, number>();
  /** Whether the last attempt to send got no response. */
  lost = $state(false);
  #sending = false;
  #onover: () => void;

  constructor(paper: Paper, onover: () => void) {
    this.paper = paper;
    this.#onover = onover;
    for (const one of paper.questions) if (one.choice) this.chosen.set(one.position, one.choice);
    for (const [position, choice] of kept(paper.id)) {
      this.chosen.set(position, choice);
      this.unsent.set(position, choice);
    }
  }

  /** Send what is left, now and whenever the network comes back. */
  begin(): () => void {
    const again = () => void this.send();
    const timer = setInterval(again, AGAIN_MS);
    window.addEventListener('online', again);
    again();
    return () => {
      clearInterval(timer);
      window.removeEventListener('online', again);
    };
  }

  choose(position: number, choice: number): void {
    this.chosen.set(position, choice);
    this.unsent.set(position, choice);
    keep(this.paper.id, [...this.unsent]);
    void this.send();
  }

  async send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let next = this.#first(); next; next = this.#first()) await this.#put(...next);
      this.lost = false;
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#sending = false;
    }
  }

  #first(): [number, number] | undefined {
    return [...this.unsent][0];
  }

  async #put(position: number, choice: number): Promise<void> {
    const path = { sitting_id: this.paper.id, position };
    await api.put('/v1/me/sittings/{sitting_id}/answers/{position}', { path, body: { choice } });
    // Another option may have been chosen meanwhile.
    if (this.unsent.get(position) === choice) this.unsent.delete(position);
    keep(this.paper.id, [...this.unsent]);
  }

  #failed(error: unknown): void {
    if (error instanceof Unreachable) {
      this.lost = true;
    } else if (error instanceof Refused && error.status !== 429) {
      this.unsent.clear();
      keep(this.paper.id, []);
      this.#onover();
    }
  }
}
