// The request whose code is still to be typed. A phone may reload the app while its mail is read.
const KEY = 'tekkie.login';
const SECOND_MS = 1000;

export interface Pending {
  request: string;
  email: string;
  /** For how many seconds the request is of use. */
  life_s: number;
}

export function readPending(): Pending | undefined {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    if (kept && Date.now() - kept.at < kept.life_s * SECOND_MS) return kept;
  } catch {
    // Nothing readable is kept.
  }
  return undefined;
}

export function keepPending(pending: Pending): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...pending, at: Date.now() }));
  } catch {
    // Without storage the code must be typed before the page is reloaded.
  }
}

export function forgetPending(): void {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Without storage nothing was kept.
  }
}
