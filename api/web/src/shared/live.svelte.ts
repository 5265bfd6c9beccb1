// The event stream of the API: one per tab; it reconnects by itself and resumes where it ended.
import { face } from './api';
import { clock } from './clock.svelte';

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'offline' | 'refused';

export interface LiveEvent {
  event: string;
  data: Record<string, unknown>;
}

export interface LiveOptions {
  /** The token of a customer's link; without it the session cookie is used. */
  token?: string | undefined;
  /** An event arrived; the same one may arrive twice. */
  onevent: (event: LiveEvent) => void;
  /** The stream could not be resumed: read the lists again. */
  onreload: () => void;
}

// The server writes at least one comment within this time.
const SILENCE_MS = 40_000;
const STALE_MS = 20_000;
const WAIT_MS = 1000;
const WAIT_MAX_MS = 30_000;
const CHECK_MS = 5000;

export class Live {
  state = $state<LiveState>('connecting');
  #options: LiveOptions;
  #cursor = '';
  #failures = 0;
  #receivedAt = 0;
  #connection: AbortController | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval>;
  #closed = new AbortController();

  constructor(options: LiveOptions) {
    this.#options = options;
    const { signal } = this.#closed;
    const resume = () => this.#resume();
    document.addEventListener('visibilitychange', resume, { signal });
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

  async #connect(): Promise<void> {
    clearTimeout(this.#retry);
    const connection = new AbortController();
    this.#connection = connection;
    this.#receivedAt = Date.now();
    try {
      await this.#read(connection.signal);
    } catch (error) {
      if (error instanceof Denied) {
        this.state = 'refused';
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
    let asked: number | undefined = Date.now();
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
      for (const frame of frames) this.#dispatch(frame, asked);
      asked = undefined;
    }
  }

  #dispatch(frame: string, asked?: number): void {
    const fields: Record<string, string> = {};
    for (const line of frame.split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
    }
    if (fields.id) this.#cursor = fields.id;
    if (!fields.data) return;
    const data = JSON.parse(fields.data) as Record<string, unknown>;
    if (typeof data.server_time === 'string') clock.sync(data.server_time, asked);
    if (fields.event === 'ready') this.#ready(data);
    else this.#options.onevent({ event: fields.event ?? 'message', data });
  }

  #ready(data: Record<string, unknown>): void {
    this.#failures = 0;
    this.state = 'live';
    if (data.resumed !== true) this.#options.onreload();
  }

  #lost(): void {
    this.#connection?.abort();
    this.#connection = undefined;
    clearTimeout(this.#retry);
    this.state = navigator.onLine ? 'reconnecting' : 'offline';
    const wait = Math.min(WAIT_MS * 2 ** this.#failures, WAIT_MAX_MS) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => void this.#connect(), wait);
  }

  #check(): void {
    if (this.#connection && Date.now() - this.#receivedAt > SILENCE_MS) this.#lost();
  }

  /** The page is visible again or the network is back: do not wait for the back-off. */
  #resume(): void {
    if (document.visibilityState === 'hidden' || this.state === 'refused') return;
    const stale = Date.now() - this.#receivedAt > STALE_MS;
    if (this.#connection && !stale) return;
    this.#failures = 0;
    this.#connection?.abort();
    void this.#connect();
  }
}

class Denied extends Error {}
