// One connection to the event stream of the API: it reconnects by itself and resumes where it ended.
import { face } from './api';

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'offline' | 'refused';

export interface Frame {
  event: string;
  data: Record<string, unknown>;
  /** The cursor after this frame. */
  cursor: string;
}

export interface StreamOptions {
  token: string | undefined;
  /** Where to resume; empty: from now. */
  cursor: string;
  onstate: (state: LiveState) => void;
  onframe: (frame: Frame) => void;
}

// The server writes at least one comment within this time.
const SILENCE_MS = 40_000;
const STALE_MS = 20_000;
const WAIT_MS = 1000;
const WAIT_MAX_MS = 30_000;
const CHECK_MS = 5000;

export class Stream {
  #options: StreamOptions;
  #cursor: string;
  #failures = 0;
  #receivedAt = 0;
  #connection: AbortController | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval>;
  #closed = new AbortController();

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#cursor = options.cursor;
    const { signal } = this.#closed;
    const resume = () => this.#resume();
    for (const name of ['online', 'pageshow', 'focus']) addEventListener(name, resume, { signal });
    addEventListener('offline', () => this.#lost(), { signal });
    // Timers do not run while a device sleeps: the first check afterwards notices the silence.
    this.#watch = setInterval(() => this.#check(), CHECK_MS);
    void this.#connect();
  }

  close(): void {
    this.#closed.abort();
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#connection?.abort();
  }

  /** Connect anew from now, as another person may be signed in. */
  restart(): void {
    this.#cursor = '';
    this.#failures = 0;
    this.#connection?.abort();
    void this.#connect();
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#retry);
    const connection = new AbortController();
    this.#connection = connection;
    this.#receivedAt = Date.now();
    try {
      await this.#read(connection.signal);
    } catch (error) {
      if (error instanceof Denied && this.#connection === connection) {
        this.close();
        this.#options.onstate('refused');
        return;
      }
    }
    if (this.#connection === connection && !this.#closed.signal.aborted) this.#lost();
  }

  async #read(signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (this.#options.token) headers.Authorization = `Bearer ${this.#options.token}`;
    else headers['Tekkie-Face'] = face();
    if (this.#cursor) headers['Last-Event-ID'] = this.#cursor;
    const answer = await fetch('/v1/live', { headers, signal, cache: 'no-store' });
    if (answer.status === 401 || answer.status === 403) throw new Denied();
    if (!answer.ok || !answer.body) throw new Error(`live ${answer.status}`);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#receivedAt = Date.now();
      const frames = (rest + value).split('\n\n');
      rest = frames.pop() ?? '';
      for (const frame of frames) this.#dispatch(frame);
    }
  }

  #dispatch(frame: string): void {
    const fields: Record<string, string> = {};
    for (const line of frame.split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
    }
    if (fields.id) this.#cursor = fields.id;
    if (!fields.data) return;
    const { event = 'message' } = fields;
    const data = JSON.parse(fields.data) as Record<string, unknown>;
    if (event === 'ready') this.#failures = 0;
    this.#options.onframe({ event, data, cursor: this.#cursor });
  }

  #lost(): void {
    this.#connection?.abort();
    this.#connection = undefined;
    clearTimeout(this.#retry);
    this.#options.onstate(navigator.onLine ? 'reconnecting' : 'offline');
    const wait = Math.min(WAIT_MS * 2 ** this.#failures, WAIT_MAX_MS) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => void this.#connect(), wait);
  }

  #check(): void {
    if (this.#connection && Date.now() - this.#receivedAt > SILENCE_MS) this.#lost();
  }

  /** The page is in use again or the network is back: do not wait for the back-off. */
  #resume(): void {
    const stale = Date.now() - this.#receivedAt > STALE_MS;
    if (this.#connection && !stale) return;
    this.#failures = 0;
    this.#connection?.abort();
    void this.#connect();
  }
}

class Denied extends Error {}
