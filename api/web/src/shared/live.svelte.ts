// The events of the API for this tab. Visible tabs of one face share one stream, since a browser opens
// six connections to a host over HTTP/1.1: the tab that holds a lock reads the stream and passes its
// frames on. A hidden tab lets go of it; when it is visible again, it catches up.
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
  /** An event arrived; the same one may arrive twice. */
  onevent: (event: LiveEvent) => void;
  /** Events may have been missed: read the lists again. */
  onreload: () => void;
}

/** What tabs tell one another; the tab with the stream answers `join`. */
type Message =
  | { kind: 'join' }
  | { kind: 'signed_in' }
  | { kind: 'state'; state: LiveState; cursor: string }
  | { kind: 'frame'; frame: Frame };

export class Live {
  state = $state<LiveState>('connecting');
  #options: LiveOptions;
  #name: string;
  #cursor = '';
  /** Whether every event up to the cursor is known here, and the next ones arrive. */
  #upToDate = false;
  #channel: BroadcastChannel | undefined;
  #stream: Stream | undefined;
  #part: AbortController | undefined;
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

  close(): void {
    this.#closed.abort();
    this.#leave();
  }

  #turn(): void {
    if (document.visibilityState === 'hidden') this.#leave();
    else if (!this.#part && this.state !== 'refused') this.#join();
  }

  #join(): void {
    const part = (this.#part = new AbortController());
    const { signal } = part;
    this.state = 'connecting';
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#hear(data);
    // Over plain http there are no locks: each visible tab has a stream.
    if (!navigator.locks) {
      void this.#lead(signal);
      return;
    }
    this.#tell({ kind: 'join' });
    navigator.locks
      .request(this.#name, { signal }, () => this.#lead(signal))
      .catch(() => void this.#lead(signal)); // resolves at once where this tab has let go
  }

  #leave(): void {
    this.#part?.abort();
    this.#channel?.close();
    this.#part = this.#channel = undefined;
    this.#upToDate = false;
  }

  /** Read the stream until `signal` is aborted; the lock is held as long. */
  #lead(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((done) => {
      const stream = new Stream({
        token: this.#options.token,
        cursor: this.#cursor,
        onstate: (state) => this.#changeState(state),
        onframe: (frame) => this.#receive(frame),
      });
      this.#stream = stream;
      signal.addEventListener('abort', () => {
        stream.close();
        this.#stream = undefined;
        done();
      });
    });
  }

  /** A frame of the stream that this tab reads. */
  #receive(frame: Frame): void {
    this.#cursor = frame.cursor;
    this.#upToDate ||= frame.event === 'ready' && frame.data.resumed === true;
    this.#take(frame);
    this.#tell({ kind: 'frame', frame });
  }

  #changeState(state: LiveState): void {
    this.#tell({ kind: 'state', state, cursor: this.#cursor });
    this.#setState(state);
  }

  #hear(message: Message): void {
    if (message.kind === 'signed_in') this.#stream?.restart();
    else if (!navigator.locks) return;
    else if (message.kind === 'join') this.#answer();
    else if (this.#stream) return;
    else if (message.kind === 'state') this.#follow(message.state, message.cursor);
    else this.#followFrame(message.frame);
  }

  #answer(): void {
    if (!this.#stream) return;
    this.#tell({ kind: 'state', state: this.state, cursor: this.#cursor });
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
