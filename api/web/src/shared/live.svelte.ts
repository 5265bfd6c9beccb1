// What happens, as it happens: one stream per tab, which comes back by itself and misses nothing.
import { face } from './api';
import { clock } from './clock.svelte';

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'offline' | 'refused';

export interface Heard {
  event: string;
  data: Record<string, unknown>;
}

export interface Listening {
  /** The token of a customer's link; without it the session cookie speaks. */
  token?: string | undefined;
  /** Something happened. It may be told twice. */
  heard: (heard: Heard) => void;
  /** The stream could not go on where it ended: read your lists anew. */
  reload: () => void;
}

// The server writes at least a comment every 15 seconds.
const SILENCE_MS = 40_000;
const STALE_MS = 20_000;
const WAIT_MS = 1000;
const WAIT_MAX_MS = 30_000;
const LOOK_MS = 5000;

export class Live {
  state = $state<LiveState>('connecting');
  #listening: Listening;
  #cursor = '';
  #failures = 0;
  #heardAt = 0;
  #line: AbortController | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval>;
  #leave = new AbortController();

  constructor(listening: Listening) {
    this.#listening = listening;
    const { signal } = this.#leave;
    const wake = () => this.#wake();
    document.addEventListener('visibilitychange', wake, { signal });
    for (const name of ['online', 'pageshow', 'focus']) addEventListener(name, wake, { signal });
    addEventListener('offline', () => this.#lost(), { signal });
    // Timers stand still while a machine sleeps: the first look afterwards sees the silence.
    this.#watch = setInterval(() => this.#look(), LOOK_MS);
    void this.#connect();
  }

  close(): void {
    this.#leave.abort();
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#line?.abort();
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#retry);
    const line = new AbortController();
    this.#line = line;
    this.#heardAt = Date.now();
    try {
      await this.#follow(line.signal);
    } catch (error) {
      if (error instanceof Denied) {
        this.state = 'refused';
        return;
      }
    }
    if (this.#line === line && !this.#leave.signal.aborted) this.#lost();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (this.#listening.token) headers.Authorization = `Bearer ${this.#listening.token}`;
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
      this.#heardAt = Date.now();
      const frames = (rest + value).split('\n\n');
      rest = frames.pop() ?? '';
      for (const frame of frames) this.#take(frame, asked);
      asked = undefined;
    }
  }

  #take(frame: string, asked?: number): void {
    const fields: Record<string, string> = {};
    for (const line of frame.split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
    }
    if (fields.id) this.#cursor = fields.id;
    if (!fields.data) return;
    const data = JSON.parse(fields.data) as Record<string, unknown>;
    if (typeof data.server_time === 'string') clock.tell(data.server_time, asked);
    if (fields.event === 'ready') this.#ready(data);
    else this.#listening.heard({ event: fields.event ?? 'message', data });
  }

  #ready(data: Record<string, unknown>): void {
    this.#failures = 0;
    this.state = 'live';
    if (data.resumed !== true) this.#listening.reload();
  }

  #lost(): void {
    this.#line?.abort();
    this.#line = undefined;
    clearTimeout(this.#retry);
    this.state = navigator.onLine ? 'reconnecting' : 'offline';
    const wait = Math.min(WAIT_MS * 2 ** this.#failures, WAIT_MAX_MS) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => void this.#connect(), wait);
  }

  #look(): void {
    if (this.#line && Date.now() - this.#heardAt > SILENCE_MS) this.#lost();
  }

  /** Back in front of somebody, or back in the network: do not wait for the back-off. */
  #wake(): void {
    if (document.visibilityState === 'hidden' || this.state === 'refused') return;
    const stale = Date.now() - this.#heardAt > STALE_MS;
    if (this.#line && !stale) return;
    this.#failures = 0;
    this.#line?.abort();
    void this.#connect();
  }
}

class Denied extends Error {}
