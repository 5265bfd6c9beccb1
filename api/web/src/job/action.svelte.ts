// What the customer does in a sheet: whether it is open and running, and why it failed.
import { toast } from '../shared/ui/toast.svelte';
import type { Following } from './job.svelte';
import { say } from './say';

type Of = Pick<Following, 'path' | 'token'>;

export class Action {
  open = $state(true);
  busy = $state(false);
  /** Why it failed. */
  problem = $state('');
  #following: Following;

  constructor(following: Following) {
    this.#following = following;
  }

  /** Run `work` once, say that it is done and close the sheet, or `explain` why it failed. */
  async run(
    work: (of: Of) => Promise<unknown>,
    done = '',
    explain: (error: unknown) => string = () => say('failed'),
  ): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.problem = '';
    try {
      const { path, token } = this.#following;
      await work({ path, token });
      if (done) toast(done);
      this.open = false;
    } catch (error) {
      this.problem = explain(error);
      void this.#following.renew();
    } finally {
      this.busy = false;
    }
  }
}
