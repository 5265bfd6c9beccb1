// The events of the API for this tab. Tabs of one face share one stream, since a browser opens six
// connections to a host over HTTP/1.1: the tab that holds a lock reads the stream and passes its
// frames on. A hidden tab takes part too, so that an offer rings in it and its title stays true; only
// where many tabs are usual or cannot share does it leave, and catch up when it is visible again.
import { face } from './api';
import { Stream, type Frame, type LiveState } from './stream';

export type { LiveState } from './stream';

export interface LiveEvent {
  event: string;
  data: Record<string, unknown>;
}

export interface LiveOptions {
  /** The token of a customer's link; without it the session cookie is used. */
  token?: string | undefined;
  /** Whether a hidden tab may go without events. */
  onlyVisible?: boolean;
  /** An event arrived; the same one may arrive twice. */
  onevent: (event: LiveEvent) => void;
  /** Events may have been missed: read the lists again. */
  onreload: () => void;
}

/** What tabs tell one another; the tab with the stream answers `join`. */
type Message =
  | { kind: 'join' }
  | { kind: 'signed_in' }
  | { kind: 'state'; rank: number; state: LiveState; cursor: string }
  | { kind: 'frame'; rank: number; frame: Frame };

// A tab that a device has put to sleep keeps the lock, and answers nobody.
const ANSWER_MS = 3000;
// The tab that reads is asked again after so long without a message: it may sleep by now.
const SILENCE_MS = 15_000;

export class Live {
  state = $state<LiveState>('connecting');
  #options: LiveOptions;
  #name: string;
  #cursor = '';
  /** Whether every event up to the cursor is known here, and the next ones arrive. */
  #upToDate = false;
  #channel: BroadcastChannel | undefined;
  #stream: Stream | undefined;
  /** Of several tabs that read, the least goes on: with the lock it is 0, else drawn by lot. */
  #rank = 0;
  #part: AbortController | undefined;
  #waiting: ReturnType<typeof setTimeout> | undefined;
  #closed = new AbortController();

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#name = nameOf(options.token ?? face());
    const { signal } = this.#closed;
    document.addEventListener('visibilitychange', () => this.#turn(), { signal });
    addEventListener('pagehide', () => this.#leave(), { signal });
    addEventListener('pageshow', () => this.#turn(), { signal });
    this.#turn();
  }

  /** Whether this tab goes without events now. Over plain http, without locks, tabs cannot share. */
  get #idle(): boolean {
    const alone = this.#options.onlyVisible || !navigator.locks;
    return alone && document.visibilityState === 'hidden';
  }

  close(): void {
    this.#closed.abort();
    this.#leave();
  }

  #turn(): void {
    if (this.#idle) this.#leave();
    else if (!this.#part && this.state !== 'refused') this.#join();
    else if (this.#part && navigator.locks && !this.#stream) this.#ask();
  }

  #join(): void {
    const part = (this.#part = new AbortController());
    const { signal } = part;
    this.state = 'connecting';
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#hear(data);
    if (!navigator.locks) {
      void this.#lead(signal, 0);
      return;
    }
    this.#ask();
    navigator.locks
      .request(this.#name, { signal }, () => this.#lead(signal, 0))
      .catch(() => void this.#lead(signal, Math.random())); // nothing where this tab has let go
  }

  /** Ask who reads the stream; without an answer this tab reads one of its own. */
  #ask(): void {
    const signal = this.#part?.signal;
    if (!signal) return;
    this.#tell({ kind: 'join' });
    this.#wait(ANSWER_MS, () => void this.#lead(signal, Math.random()));
  }

  #wait(ms: number, then: () => void): void {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(then, ms);
  }

  #leave(): void {
    clearTimeout(this.#waiting);
    this.#stop();
    this.#part?.abort();
    this.#channel?.close();
    this.#part = this.#channel = undefined;
    this.#upToDate = false;
  }

  /** Read the stream; the lock is held until `signal` is aborted. */
  #lead(signal: AbortSignal, rank: number): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    clearTimeout(this.#waiting);
    this.#rank = rank;
    this.#stream ??= new Stream({
      token: this.#options.token,
      cursor: this.#cursor,
      onstate: (state) => this.#changeState(state),
      onframe: (frame) => this.#receive(frame),
    });
    this.#answer();
    return new Promise((done) => signal.addEventListener('abort', () => done()));
  }

  #stop(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  /** A frame of the stream that this tab reads. */
  #receive(frame: Frame): void {
    this.#cursor = frame.cursor;
    this.#upToDate ||= frame.event === 'ready' && frame.data.resumed === true;
    this.#take(frame);
    this.#tell({ kind: 'frame', rank: this.#rank, frame });
  }

  #changeState(state: LiveState): void {
    this.#tell({ kind: 'state', rank: this.#rank, state, cursor: this.#cursor });
    this.#setState(state);
  }

  #hear(message: Message): void {
    if (message.kind === 'signed_in') this.#stream?.restart();
    else if (!navigator.locks) return;
    else if (message.kind === 'join') this.#answer();
    else if (!this.#stream || message.rank < this.#rank) this.#hearReader(message);
  }

  /** A message of the tab that reads the stream. */
  #hearReader(message: Extract<Message, { kind: 'state' | 'frame' }>): void {
    this.#stop();
    this.#wait(SILENCE_MS, () => this.#ask());
    if (message.kind === 'state') this.#follow(message.state, message.cursor);
    else this.#followFrame(message.frame);
  }

  #answer(): void {
    if (!this.#stream) return;
    this.#tell({ kind: 'state', rank: this.#rank, state: this.state, cursor: this.#cursor });
  }

  #follow(state: LiveState, cursor: string): void {
    this.#setState(state);
    if (state === 'live') this.#catchUp(cursor);
  }

  #followFrame(frame: Frame): void {
    // What came before this tab was up to date is read with the lists.
    if (!this.#upToDate && frame.event !== 'ready') return;
    this.#cursor = frame.cursor;
    this.#take(frame);
  }

  #take({ event, data }: Frame): void {
    if (event !== 'ready') {
      this.#options.onevent({ event, data });
      return;
    }
    this.state = 'live';
    if (data.resumed !== true) this.#upToDate = false;
    this.#catchUp(this.#cursor);
  }

  #catchUp(cursor: string): void {
    if (this.#upToDate) return;
    this.#upToDate = true;
    this.#cursor = cursor;
    this.#options.onreload();
  }

  #setState(state: LiveState): void {
    this.state = state;
    // Another tab may sign in and need the lock.
    if (state === 'refused') this.#leave();
  }

  #tell(message: Message): void {
    this.#channel?.postMessage(message);
  }
}

/** Somebody has signed in to a face: its tabs are no longer whose they were. */
export function announceSignIn(path: string): void {
  const channel = new BroadcastChannel(nameOf(path.slice(1)));
  const message: Message = { kind: 'signed_in' };
  channel.postMessage(message);
  channel.close();
}

function nameOf(whose: string): string {
  return `tekkie-live:${whose}`;
}
